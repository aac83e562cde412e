/** Identity of a batch's content, and its compressed form for the wire. */
import {createHash} from 'node:crypto';
import {promisify} from 'node:util';
import {gzip} from 'node:zlib';
import type {DeviceRecord, JsonObject} from './wire.ts';

const gzipAsync = promisify(gzip);

/** Bodies smaller than one TCP segment gain nothing from gzip. */
const COMPRESS_FROM_BYTES = 1200;

/**
 * sha256 in hex of what must be equal in every attempt of a batch. The clock, the statistics and the reason change between attempts and are not content.
 */
export const contentHash = (state: JsonObject | undefined, records: readonly DeviceRecord[]): string =>
  createHash('sha256')
    .update(JSON.stringify([state ?? null, records]))
    .digest('hex');

/** Stands for a secret where it must not be seen. */
export const lifeOf = (secret: string): string => createHash('sha256').update(secret).digest('hex').slice(0, 16);

export interface EncodedBody {
  readonly plain: Buffer;
  readonly bytes: Buffer;
  readonly encoding: 'gzip' | undefined;
}

export const encodeBody = async (body: unknown, compress: string): Promise<EncodedBody> => {
  const plain = Buffer.from(JSON.stringify(body));
  if (compress !== 'gzip' || plain.length < COMPRESS_FROM_BYTES) return {plain, bytes: plain, encoding: undefined};
  return {plain, bytes: await gzipAsync(plain, {level: 5}), encoding: 'gzip'};
};
