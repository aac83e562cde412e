/**
 * The outbox on disk. One file of lines `crc32 json`, appended and synced before anything is done because of them; rewritten to its shortest form by
 * an atomic rename when it has grown. After a power cut the last line may be torn: it is cut off, and nothing had been sent because of it. A broken line
 * with good ones behind it is not a power cut but a bad card: what came before is kept, and the device must take a new epoch.
 */
import {copyFile, open, readFile, rename, rm, type FileHandle} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {crc32} from 'node:zlib';
import {Outbox, type OutboxEntry} from '../client/outbox.ts';
import {isFull, reserveIn, type Reserve} from './reserve.ts';

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
  /** @throws what the file system threw; then nothing is written, and the spool is as before. Only readings are refused while the reserve is there. */
  append(entries: readonly OutboxEntry[]): Promise<void>;
  /** Whether readings may be added: without the reserve what is left of the disk is for delivering what is there. */
  hasRoom(): Promise<boolean>;
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
  /** Of the lines before the first broken one. */
  readonly sizeBytes: number;
  readonly recovery: 'clean' | 'torn' | 'corrupt';
}

/** Reads a journal up to its first broken line. */
export const replay = (text: string): Replay => {
  const lines = text.split('\n');
  const last = lines.pop();
  const entries: OutboxEntry[] = [];
  let sizeBytes = 0;
  for (const [index, line] of lines.entries()) {
    const entry = decode(line);
    if (entry === undefined) {
      return {entries, sizeBytes, recovery: index === lines.length - 1 && last === '' ? 'torn' : 'corrupt'};
    }
    entries.push(entry);
    sizeBytes += Buffer.byteLength(line) + 1;
  }
  return {entries, sizeBytes, recovery: last === '' ? 'clean' : 'torn'};
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
  } catch (error) {
    await rm(temporary, {force: true});
    throw error;
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

/** What a spool stands on; tests replace it. */
export interface SpoolDisk {
  readonly reserve: Reserve;
  /** Appends and makes durable. After an error a part may have been written. */
  readonly append: (handle: FileHandle, text: string) => Promise<void>;
}

const appendDurably = async (handle: FileHandle, text: string): Promise<void> => {
  await handle.appendFile(text);
  await handle.datasync();
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
  disk: SpoolDisk = {reserve: reserveIn(folder), append: appendDurably},
): Promise<Spool> => {
  const {reserve} = disk;
  const path = join(folder, NAME);
  await rm(`${path}.new`, {force: true});
  const text = await readIfThere(path);
  const outbox = new Outbox();
  const found: Replay = text === undefined ? {entries: [], sizeBytes: 0, recovery: 'clean'} : replay(text);
  for (const entry of found.entries) outbox.apply(entry);
  const recovery = text === undefined ? 'new' : found.recovery;
  // A copy, so that the readings before the damage are still there when the power goes now.
  if (recovery === 'corrupt') await copyFile(path, `${path}.corrupt`);
  if (recovery === 'new' || recovery === 'corrupt') await beforeNumbersAreLost(recovery);

  let handle: FileHandle | undefined;
  let sizeBytes = 0;
  let compactAtBytes = 0;
  const use = async (bytes: number): Promise<FileHandle> => {
    const before = handle;
    const opened = await open(path, 'a', 0o600);
    handle = opened;
    sizeBytes = bytes;
    compactAtBytes = Math.max(limits.compactBytes, bytes * 2);
    await before?.close();
    return opened;
  };
  /** @returns false when the disk is too full for a second copy: the file stays as it is. */
  const compact = async (): Promise<boolean> => {
    const whole = [...outbox.entries()].map(encode).join('');
    try {
      await writeDurably(path, whole);
    } catch (error) {
      if (isFull(error)) return false;
      throw error;
    }
    await use(Buffer.byteLength(whole));
    return true;
  };
  if (!(await compact())) {
    const opened = await use(found.sizeBytes);
    await opened.truncate(found.sizeBytes);
    await opened.datasync();
  }
  let isShort = !(await reserve.take());

  /** What stops this spool for good. */
  let broken: Error | undefined;
  const append = async (lines: string): Promise<void> => {
    if (handle === undefined) throw new Error('the spool is closed');
    try {
      await disk.append(handle, lines);
    } catch (error) {
      // Half a line would make what is written behind it unreadable.
      await handle.truncate(sizeBytes).catch((cause: unknown) => {
        broken = new Error(`the torn end of ${path} cannot be cut off`, {cause});
      });
      throw error;
    }
    sizeBytes += Buffer.byteLength(lines);
  };
  const write = async (entries: readonly OutboxEntry[]): Promise<void> => {
    if (broken !== undefined) throw broken;
    // The outbox holds everything appended so far, because appends are applied before the next one begins.
    const isDelivered = outbox.queued === 0 && outbox.batches.length === 0;
    if (sizeBytes > compactAtBytes || (isShort && isDelivered)) {
      if (!(await compact())) compactAtBytes = sizeBytes * 2;
      else if (isShort) isShort = !(await reserve.take());
    }
    const lines = entries.map(encode).join('');
    try {
      await append(lines);
    } catch (error) {
      if (!isFull(error) || entries.some(({op}) => op === 'reading') || !(await reserve.give())) throw error;
      isShort = true;
      await append(lines);
    }
  };
  /** One at a time; what fails does not stop the next. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  };
  return {
    outbox,
    recovery,
    append: (entries) => inTurn(() => write(entries)),
    hasRoom: () =>
      inTurn(async () => {
        if (isShort) isShort = !(await reserve.take());
        return !isShort;
      }),
    close: () =>
      inTurn(async () => {
        await handle?.close();
        handle = undefined;
      }),
  };
};

/** What has to be dropped before `incoming` readings more may wait. */
export const dropFor = (outbox: Outbox, incoming: number, {maxQueued}: SpoolLimits): readonly OutboxEntry[] => {
  const count = Math.min(outbox.queued, outbox.queued + incoming - maxQueued);
  return count > 0 ? [{op: 'drop', count}] : [];
};
