/**
 * The outbox on disk. One file of lines `crc32 json`, appended and synced before anything is done because of them; rewritten to its shortest form by
 * an atomic rename when it has grown. After a power cut the last line may be torn: it is cut off, and nothing had been sent because of it. A broken line
 * with good ones behind it is not a power cut but a bad card: what came before is kept, and the device must take a new epoch.
 */
import {copyFile, open, readFile, rename, rm, type FileHandle} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {crc32} from 'node:zlib';
import {Outbox, type OutboxEntry} from '../client/outbox.ts';

const NAME = 'spool.log';

export interface SpoolLimits {
  /** Readings that may wait; beyond it the oldest are dropped and counted. */
  readonly maxQueued: number;
  /** The file is rewritten when it is larger than this and twice its shortest form. */
  readonly compactBytes: number;
}

export type Recovery = 'new' | 'clean' | 'torn' | 'corrupt';

export interface Spool {
  readonly outbox: Outbox;
  readonly recovery: Recovery;
  append(entries: readonly OutboxEntry[]): Promise<void>;
  close(): Promise<void>;
}

const encode = (entry: OutboxEntry): string => {
  const json = JSON.stringify(entry);
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
};

const decode = (line: string): OutboxEntry | undefined => {
  const json = line.slice(9);
  if (line[8] !== ' ' || crc32(json) !== Number.parseInt(line.slice(0, 8), 16)) return undefined;
  // The checksum says that these are the bytes that encode() wrote.
  return JSON.parse(json) as OutboxEntry;
};

export interface Replay {
  readonly entries: readonly OutboxEntry[];
  readonly recovery: 'clean' | 'torn' | 'corrupt';
}

/** Reads a journal up to its first broken line. */
export const replay = (text: string): Replay => {
  const lines = text.split('\n');
  const last = lines.pop();
  const entries: OutboxEntry[] = [];
  for (const [index, line] of lines.entries()) {
    const entry = decode(line);
    if (entry === undefined) return {entries, recovery: index === lines.length - 1 && last === '' ? 'torn' : 'corrupt'};
    entries.push(entry);
  }
  return {entries, recovery: last === '' ? 'clean' : 'torn'};
};

/** Makes a rename or a new file durable (fsync(2): a file's entry in its folder is the folder's data). */
export const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** Replaces a file so that after a power cut there is either the old or the new one, whole. */
export const writeDurably = async (path: string, text: string, mode = 0o600): Promise<void> => {
  const temporary = `${path}.new`;
  const handle = await open(temporary, 'w', mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
};

/** True for the error of opening a file that is not there. */
export const isMissing = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';

const readIfThere = async (path: string): Promise<string | undefined> => {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
};

/**
 * @param beforeNumbersAreLost awaited where there is no spool, or only a part of one, before anything is written that the next start would take for a
 * whole one: numbers that are not known here may have been used.
 * @throws when the folder cannot be read or written.
 */
export const openSpool = async (
  folder: string,
  limits: SpoolLimits,
  beforeNumbersAreLost: (recovery: 'new' | 'corrupt') => Promise<void>,
): Promise<Spool> => {
  const path = join(folder, NAME);
  await rm(`${path}.new`, {force: true});
  const text = await readIfThere(path);
  const outbox = new Outbox();
  const found: Replay = text === undefined ? {entries: [], recovery: 'clean'} : replay(text);
  for (const entry of found.entries) outbox.apply(entry);
  const recovery = text === undefined ? 'new' : found.recovery;
  // A copy, so that the readings before the damage are still there when the power goes now.
  if (recovery === 'corrupt') await copyFile(path, `${path}.corrupt`);
  if (recovery === 'new' || recovery === 'corrupt') await beforeNumbersAreLost(recovery);

  const shortest = (): string => [...outbox.entries()].map(encode).join('');
  let handle: FileHandle;
  let sizeBytes = 0;
  let compactAtBytes = 0;
  const compact = async (): Promise<void> => {
    const whole = shortest();
    await writeDurably(path, whole);
    handle = await open(path, 'a', 0o600);
    sizeBytes = Buffer.byteLength(whole);
    compactAtBytes = Math.max(limits.compactBytes, sizeBytes * 2);
  };
  await compact();

  let last: Promise<void> = Promise.resolve();
  const write = async (entries: readonly OutboxEntry[]): Promise<void> => {
    if (sizeBytes > compactAtBytes) {
      // The outbox holds everything appended so far, because appends are applied before the next one begins.
      await handle.close();
      await compact();
    }
    const lines = entries.map(encode).join('');
    await handle.appendFile(lines);
    await handle.datasync();
    sizeBytes += Buffer.byteLength(lines);
  };
  return {
    outbox,
    recovery,
    append(entries) {
      last = last.then(() => write(entries));
      return last;
    },
    async close() {
      await last;
      await handle.close();
    },
  };
};

/** What has to be dropped before `incoming` readings more may wait. */
export const dropFor = (outbox: Outbox, incoming: number, {maxQueued}: SpoolLimits): readonly OutboxEntry[] => {
  const count = Math.min(outbox.queued, outbox.queued + incoming - maxQueued);
  return count > 0 ? [{op: 'drop', count}] : [];
};
