import {isStorableInstant} from '@pisync/core/json/storable-instant';
import {z} from 'zod';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;
const LIMIT_RULE = {error: `must be a whole number from 1 to ${MAX_LIMIT}`};

/** Digits only: JavaScript would also read `0x10`, `1e2` and nothing at all as numbers. */
const digits = (value: unknown): unknown =>
  typeof value === 'string' && /^\d{1,4}$/.test(value) ? Number(value) : undefined;

/** The query parameters of every list. */
export const pageQuery = {
  limit: z
    .preprocess(digits, z.int(LIMIT_RULE).min(1, LIMIT_RULE).max(MAX_LIMIT, LIMIT_RULE))
    .default(DEFAULT_LIMIT)
    .describe(`Rows of a page, at most ${MAX_LIMIT}.`),
  cursor: z
    .string()
    .min(1)
    .max(6000)
    .optional()
    .describe('`nextCursor` of the page before. It belongs to one list and filter; anything else is refused.'),
} as const;

export const timestamp = z.iso.datetime({offset: true, abort: true});

/** A time that is given to the API. Its offset may lead to a year that none of its answers could have. */
export const givenTime = timestamp.refine(
  (text) => isStorableInstant(Date.parse(text)),
  'is not in the years 1 to 9999 of UTC',
);

/** A given time as a database reads it, to the microsecond: it knows no offset of 16 hours, and no fraction of a hundred digits. */
export const inUtc = (text: string): string => {
  const [fraction = ''] = /\.\d{1,6}/.exec(text) ?? [];
  return new Date(text).toISOString().replace(/\.\d+Z$/, `${fraction}Z`);
};

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
