import {z} from 'zod';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;

/** The query parameters of every list. */
export const pageQuery = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(MAX_LIMIT)
    .default(DEFAULT_LIMIT)
    .describe(`Rows of a page, at most ${MAX_LIMIT}.`),
  cursor: z
    .string()
    .min(1)
    .max(6000)
    .optional()
    .describe('`nextCursor` of the page before. It belongs to one list and filter; anything else is refused.'),
} as const;

export const timestamp = z.iso.datetime({offset: true});

/** The answer of every list. */
export const pageOf = <Row extends z.ZodType>(row: Row) =>
  z.object({
    data: z.array(row),
    hasNextPage: z.boolean(),
    nextCursor: z
      .string()
      .nullable()
      .describe(
        'Reads on after this page. Also given without a next page where shards are missing: they are read on from there.',
      ),
    asOf: timestamp.describe('When the rows were read.'),
    partial: z
      .array(z.string())
      .optional()
      .describe('Shards that did not answer in time; their rows are missing here.'),
  });
