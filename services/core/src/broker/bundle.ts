import {z} from 'zod';
import {AppError} from '../errors/app-error.ts';

/**
 * Several batches in one broker message, because a replicated queue pays per message: a four byte length (big endian), a
 * JSON header of that length, then the requests' inflated bodies end to end, untouched.
 */
const itemSchema = z.object({
  deviceId: z.string(),
  deviceKey: z.int(),
  slot: z.int().min(0).max(1023),
  /** Ordinal, as stored; the text on the wire is `e` and this number. */
  epoch: z.int().min(1),
  batchSeq: z.int().min(1),
  /** sha256 in hex of the content, see content-hash.ts. */
  contentHash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Milliseconds since 1970, by the server's clock. */
  receivedAt: z.int(),
  /** UTC day of the first acceptance, `YYYY-MM-DD`; it never changes afterwards. */
  receivedDay: z.string().regex(/^\d{4}-\d{2}-\d{2}$/),
  mode: z.string(),
  reason: z.string().nullable(),
  /** Indexes of records that were refused at the edge. */
  bad: z.array(z.int().min(0)),
  /** How many records the body lists, for who plans without reading it. Releases before this one do not say. */
  records: z.int().min(0).optional().catch(undefined),
  /** W3C `traceparent` of the request, where its trace is kept. What cannot be read is left out: no batch is lost for it. */
  trace: z.string().max(128).optional().catch(undefined),
  /** Length of the body. */
  bytes: z.int().min(0),
});

const headerSchema = z.object({v: z.literal(1), items: z.array(itemSchema).min(1)});

export type BundleMeta = Omit<z.infer<typeof itemSchema>, 'bytes'>;

export interface BundleItem {
  readonly meta: Readonly<BundleMeta>;
  /** The request's body after inflating. */
  readonly payload: Buffer;
}

/** How large one message becomes; a worker's transaction takes up to 1000 records, so this keeps one about a transaction's worth. */
export interface BundleLimits {
  readonly maxItems: number;
  readonly maxBytes: number;
}

export const DEFAULT_BUNDLE_LIMITS: BundleLimits = {maxItems: 64, maxBytes: 512 * 1024};

/** How many of those that wait, from the first on, go into one bundle: at least one, because one body is bounded at the edge. */
export const countOfBundle = (
  waiting: Iterable<{readonly item: BundleItem}>,
  {maxItems, maxBytes}: BundleLimits,
): number => {
  let bytes = 0;
  let count = 0;
  for (const {
    item: {payload},
  } of waiting) {
    if (count > 0 && (count >= maxItems || bytes + payload.length > maxBytes)) break;
    bytes += payload.length;
    count += 1;
  }
  return count;
};

export const BUNDLE_MEDIA_TYPE = 'application/vnd.pisync.bundle.v1';

const LENGTH_BYTES = 4;

export const encodeBundle = (items: readonly BundleItem[]): Buffer => {
  const header = Buffer.from(
    JSON.stringify({v: 1, items: items.map(({meta, payload}) => ({...meta, bytes: payload.length}))}),
  );
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(header.length);
  return Buffer.concat([length, header, ...items.map(({payload}) => payload)]);
};

/**
 * The batches of a message, their payloads being views into it.
 * @throws AppError `invalid` when the message is not a bundle of this version, is cut off or has bytes left over.
 */
export const decodeBundle = (message: Buffer): readonly BundleItem[] => {
  if (message.length < LENGTH_BYTES) throw new AppError('invalid', `a bundle of ${message.length} bytes has no header`);
  const start = LENGTH_BYTES + message.readUInt32BE();
  if (start > message.length)
    throw new AppError('invalid', `a bundle of ${message.length} bytes ends within its header`);
  let json: unknown;
  try {
    json = JSON.parse(message.toString('utf8', LENGTH_BYTES, start));
  } catch (error) {
    throw new AppError('invalid', "a bundle's header is not JSON", {cause: error});
  }
  const header = headerSchema.safeParse(json);
  if (!header.success) throw new AppError('invalid', `a bundle's header is wrong: ${z.prettifyError(header.error)}`);
  let offset = start;
  const items = header.data.items.map(({bytes, ...meta}) => {
    const payload = message.subarray(offset, offset + bytes);
    offset += bytes;
    return {meta, payload};
  });
  if (offset !== message.length) {
    throw new AppError('invalid', `a bundle of ${message.length} bytes says that it has ${offset}`);
  }
  return items;
};
