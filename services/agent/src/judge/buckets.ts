/**
 * Reads ledgers of any size in bounded memory: the lines are spread over temporary files by device, so that each file holds whole devices, and the files
 * are read one by one.
 */
import {createReadStream, createWriteStream} from 'node:fs';
import {mkdtemp, rm, stat} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {once} from 'node:events';
import {finished} from 'node:stream/promises';
import {crc32} from 'node:zlib';
import {ledgerEntrySchema, type LedgerEntry} from '../ledger/entry.ts';
import {Claims} from './claims.ts';

/** A bucket's lines are held at once, as objects of several times their size. */
const BUCKET_BYTES = 32 * 1024 * 1024;
const MAX_BUCKETS = 512;

const parseLine = (line: string, where: string): LedgerEntry => {
  try {
    return ledgerEntrySchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new Error(`${where} is not a ledger line: ${line.slice(0, 120)}`, {cause});
  }
};

async function* linesOf(path: string): AsyncGenerator<LedgerEntry> {
  let number = 0;
  let held: {line: string; number: number} | undefined;
  for await (const line of createInterface({input: createReadStream(path), crlfDelay: Infinity})) {
    number += 1;
    if (held !== undefined) yield parseLine(held.line, `${path}:${held.number}`);
    held = line === '' ? undefined : {line, number};
  }
  if (held === undefined) return;
  // A writer that was killed may leave half a last line. It was being written, so its batch was not yet sent.
  const complete = held.line.endsWith('}');
  if (complete) yield parseLine(held.line, `${path}:${held.number}`);
}

const readClaims = async (paths: readonly string[]): Promise<Claims> => {
  const claims = new Claims();
  for (const path of paths) for await (const entry of linesOf(path)) claims.add(entry);
  return claims;
};

export interface Buckets {
  /** Claims of a part of the devices at a time; every device is whole in one part. May be iterated again. */
  parts(): AsyncGenerator<Claims>;
  close(): Promise<void>;
}

/** @param bucketBytes about how much of the ledgers is in memory at a time. */
export const openBuckets = async (paths: readonly string[], bucketBytes = BUCKET_BYTES): Promise<Buckets> => {
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const count = Math.min(MAX_BUCKETS, Math.ceil(total / bucketBytes));
  if (count <= 1) {
    return {
      async *parts() {
        yield await readClaims(paths);
      },
      close: () => Promise.resolve(),
    };
  }
  const folder = await mkdtemp(join(tmpdir(), 'pisync-judge-'));
  const files = Array.from({length: count}, (_, index) => join(folder, `${index}.ndjson`));
  const streams = files.map((file) => createWriteStream(file));
  for (const path of paths) {
    for await (const entry of linesOf(path)) {
      const stream = streams[crc32(entry.device) % count];
      if (stream !== undefined && !stream.write(`${JSON.stringify(entry)}\n`)) await once(stream, 'drain');
    }
  }
  await Promise.all(
    streams.map((stream) => {
      stream.end();
      return finished(stream);
    }),
  );
  return {
    async *parts() {
      for (const file of files) yield await readClaims([file]);
    },
    close: () => rm(folder, {recursive: true, force: true}),
  };
};
