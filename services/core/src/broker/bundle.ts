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
  /** The state was refused at the edge. */
  badState: z.boolean().optional().catch(undefined),
  /** How many records the body lists, for who plans without reading it. Releases before this one do not say. */
  records: z.int().min(0).optional().catch(undefined),
  /** W3C `traceparent` of the request, where its trace is kept. What cannot be read is left out: no batch is lost for it. */
  trace: z.string().max(128).optional().catch(undefined),
  /** Length of the body. */
  bytes: z.int().min(0),
});
/** What a newer device-api says besides goes on with the item when it is published again, to a worker that knows it. */
const readSchema = itemSchema.loose();

const VERSION = 1;
const versionSchema = z.object({v: z.int()});
/** What it takes to find the bodies: of an item that says its length only this one may be wrong. */
const headerSchema = z.object({v: z.literal(VERSION), items: z.array(z.looseObject({bytes: z.int().min(0)})).min(1)});

export type BundleMeta = Omit<z.infer<typeof itemSchema>, 'bytes'>;

/** An item that cannot be read, though its message can: a bundle of this one alone, and why. */
export interface WrongItem {
  readonly content: Buffer;
  readonly reason: string;
}

export interface Bundle {
  readonly items: readonly BundleItem[];
  readonly wrong: readonly WrongItem[];
}

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

export const encodeBundle = (items: readonly BundleItem[]): Buffer => encode(items);

const encode = (items: readonly {readonly meta: object; readonly payload: Buffer}[]): Buffer => {
  const header = Buffer.from(
    JSON.stringify({v: VERSION, items: items.map(({meta, payload}) => ({...meta, bytes: payload.length}))}),
  );
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(header.length);
  return Buffer.concat([length, header, ...items.map(({payload}) => payload)]);
};

/**
 * The batches of a message, their payloads being views into it.
 * @throws AppError `invalid` when the message is not a bundle, is cut off or has bytes left over, and `unavailable` when it is one of a newer release.
 */
export const decodeBundle = (message: Buffer): Bundle => {
  if (message.length < LENGTH_BYTES) throw new AppError('invalid', `a bundle of ${message.length} bytes has no header`);
  const start = LENGTH_BYTES + message.readUInt32BE();
  if (start > message.length)
    throw new AppError('invalid', `a bundle of ${message.length} bytes ends within its header`);
  const {items: listed} = parseHeader(message.toString('utf8', LENGTH_BYTES, start));
  let offset = start;
  const items: BundleItem[] = [];
  const wrong: WrongItem[] = [];
  for (const raw of listed) {
    const payload = message.subarray(offset, offset + raw.bytes);
    offset += raw.bytes;
    const item = readSchema.safeParse(raw);
    if (item.success) {
      const {bytes: _, ...meta} = item.data;
      items.push({meta, payload});
    } else {
      const reason = `an item of a bundle is wrong: ${z.prettifyError(item.error)}`;
      wrong.push({content: encode([{meta: raw, payload}]), reason});
    }
  }
  if (offset !== message.length) {
    throw new AppError('invalid', `a bundle of ${message.length} bytes says that it has ${offset}`);
  }
  return {items, wrong};
};

const parseHeader = (text: string): z.infer<typeof headerSchema> => {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new AppError('invalid', "a bundle's header is not JSON", {cause: error});
  }
  const version = versionSchema.safeParse(json);
  if (version.success && version.data.v > VERSION)
    throw new AppError('unavailable', `a bundle has version ${version.data.v}, and this release reads ${VERSION}`);
  const header = headerSchema.safeParse(json);
  if (!header.success) throw new AppError('invalid', `a bundle's header is wrong: ${z.prettifyError(header.error)}`);
  return header.data;
};
