/**
 * The outbox on disk. One file of lines, appended and synced before anything is done because of them; rewritten to its shortest form by an atomic rename
 * when it has grown. After a power cut the last line may be torn: it is cut off, and nothing had been sent because of it. On a bad card every reading that can
 * be read is kept, and the device must take a new epoch.
 */
import {open, readFile, rename, rm, writeFile, type FileHandle} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {Outbox, type OutboxEntry} from '../client/outbox.ts';
import {encode, linesOf, replay} from './journal.ts';
import {isFailing, isFull, isRefused} from './disk-error.ts';
import {reserveIn, type Reserve} from './reserve.ts';

const NAME = 'spool.log';

export interface SpoolLimits {
  /** Readings that may wait for their first batch; beyond it the oldest of these are dropped and counted. */
  readonly maxQueued: number;
  /** The file is rewritten when it is larger than this and twice its shortest form. */
  readonly compactBytes: number;
}

export type Recovery = 'new' | 'clean' | 'torn' | 'corrupt';

export interface Spool {
  readonly outbox: Outbox;
  readonly recovery: Recovery;
  /** Lines that could not be read this time. */
  readonly lostLines: number;
  /** @throws what the file system threw; then nothing is written, and the spool is as before. Only readings are refused while the reserve is there. */
  append(entries: readonly OutboxEntry[]): Promise<void>;
  /**
   * Writes the file anew where it is not certain what it has: a card that fails may have kept what it refused. Nothing may be sent before, because a power
   * cut would bring that back. @throws what the file system threw
   */
  settle(): Promise<void>;
  /** Does a small write beside the spool, in the reserve where the disk is full. @throws what it threw; it may have been done twice */
  besides(write: () => Promise<void>): Promise<void>;
  /** Whether readings may be added: without the reserve what is left of the disk is for delivering what is there. */
  hasRoom(): Promise<boolean>;
  close(): Promise<void>;
}

/** Makes a rename or a new file durable (fsync(2): a file's entry in its folder is the folder's data). */
export const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** @returns how many bytes it wrote */
const writeWhole = async (path: string, parts: Iterable<string>): Promise<number> => {
  const handle = await open(path, 'w', 0o600);
  try {
    let bytes = 0;
    for (const part of parts) {
      await handle.writeFile(part);
      bytes += Buffer.byteLength(part);
    }
    await handle.sync();
    return bytes;
  } catch (error) {
    await rm(path, {force: true});
    throw error;
  } finally {
    await handle.close();
  }
};

/** Replaces a file so that after a power cut there is either the old or the new one, whole. */
export const writeDurably = async (path: string, text: string): Promise<void> => {
  await writeWhole(`${path}.new`, [text]);
  await rename(`${path}.new`, path);
  await syncFolder(dirname(path));
};

/** True for the error of opening a file that is not there. */
export const isMissing = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';

const readIfThere = async (path: string): Promise<Buffer | undefined> => {
  try {
    return await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
};

/** What a spool stands on; tests replace it. */
export interface SpoolDisk {
  /** Reads one block of the file to the same place of the buffer. */
  readonly read: (handle: FileHandle, bytes: Buffer, at: number) => Promise<unknown>;
  readonly reserve: Reserve;
  /** Appends and makes durable. After an error a part may have been written. */
  readonly append: (handle: FileHandle, text: string) => Promise<void>;
  readonly syncFolder: (folder: string) => Promise<void>;
}

/** Of most cards' file systems. */
const BLOCK_BYTES = 4096;

const readBlock: SpoolDisk['read'] = (handle, bytes, at) =>
  handle.read(bytes, at, Math.min(BLOCK_BYTES, bytes.length - at), at);

/** The file, with zeros for each block that the card does not give: they are in no line that is whole. */
const readBlocks = async (path: string, read: SpoolDisk['read']): Promise<Buffer | undefined> => {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const bytes = Buffer.alloc((await handle.stat()).size);
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      await read(handle, bytes, at).catch((error: unknown) => {
        if (!isFailing(error)) throw error;
      });
    }
    return bytes;
  } finally {
    await handle.close();
  }
};

const PART_CHARS = 256 * 1024;

/** The whole of it at once would take several times its room in memory. */
function* partsOf(outbox: Outbox): Generator<string> {
  let part = '';
  for (const entry of outbox.entries()) {
    part += encode(entry);
    if (part.length < PART_CHARS) continue;
    yield part;
    part = '';
  }
  yield part;
}

const appendDurably = async (handle: FileHandle, text: string): Promise<void> => {
  await handle.appendFile(text);
  await handle.datasync();
};

/** Keeps a damaged file for people, and the one before it: two files, each as large as a spool may be. A disk that does not take them keeps none. */
const setDamagedAside = async (path: string, bytes: Buffer): Promise<void> => {
  const kept = `${path}.corrupt`;
  try {
    const before = await readIfThere(kept);
    // A start that the power ended has kept it already.
    if (before?.equals(bytes) === true) return;
    if (before !== undefined) await rename(kept, `${kept}.1`);
    await writeFile(kept, bytes, {mode: 0o600});
  } catch (error) {
    if (!isRefused(error)) throw error;
    await rm(kept, {force: true}).catch(() => undefined);
  }
};

/** @throws when the folder cannot be read or written. */
export const openSpool = async (
  folder: string,
  limits: SpoolLimits,
  disk: SpoolDisk = {reserve: reserveIn(folder), read: readBlock, append: appendDurably, syncFolder},
): Promise<Spool> => {
  const {reserve} = disk;
  const path = join(folder, NAME);
  await rm(`${path}.new`, {force: true}).catch(() => undefined);
  const bytes = await readBlocks(path, disk.read);
  const outbox = new Outbox();
  const found = replay(bytes?.toString() ?? '');
  for (const entry of found.entries) outbox.apply(entry);
  const recovery = bytes === undefined ? 'new' : found.recovery;
  if (bytes !== undefined && recovery === 'corrupt') await setDamagedAside(path, bytes);

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
  /** See {@link Spool.settle}. */
  let isDoubtful = false;
  /** A whole new file is certain whatever became of the one before, also of an fsync(2) that failed, after which the next one says that all is well. */
  const renew = async (): Promise<void> => {
    const written = await writeWhole(`${path}.new`, partsOf(outbox));
    // Until the folder is synced, either file may be there after a power cut.
    isDoubtful = true;
    await rename(`${path}.new`, path);
    await disk.syncFolder(folder);
    await use(written);
    isDoubtful = false;
  };
  /** @returns false when the disk takes no second copy: the file stays as it is. */
  const compact = async (): Promise<boolean> => {
    try {
      await renew();
      return true;
    } catch (error) {
      if (isDoubtful || !isRefused(error)) throw error;
      return false;
    }
  };
  const begin = async (): Promise<void> => {
    if (await compact()) return;
    // What could be read behind the damage stands nowhere else.
    if (recovery === 'corrupt') {
      isDoubtful = !((await reserve.give()) && (await compact()));
      return;
    }
    const opened = await use(found.sizeBytes);
    await opened.truncate(found.sizeBytes);
    await opened.datasync();
  };
  await begin().catch((error: unknown) => {
    if (!isRefused(error)) throw error;
    isDoubtful = true;
  });
  let isShort = !(await reserve.take());

  const append = async (lines: string): Promise<void> => {
    if (handle === undefined) throw new Error('the spool is closed');
    try {
      await disk.append(handle, lines);
    } catch (error) {
      isDoubtful = isFailing(error);
      // Half a line would make what is written behind it unreadable.
      await handle.truncate(sizeBytes).catch(() => (isDoubtful = true));
      throw error;
    }
    sizeBytes += Buffer.byteLength(lines);
  };
  const inReserve = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!isFull(error) || !(await reserve.give())) throw error;
      isShort = true;
      await work();
    }
  };
  const settle = async (): Promise<void> => {
    if (isDoubtful) await inReserve(renew);
  };
  const write = async (entries: readonly OutboxEntry[]): Promise<void> => {
    await settle();
    // The outbox holds everything appended so far, because appends are applied before the next one begins.
    const isDelivered = outbox.queued === 0 && outbox.batches.length === 0;
    if (sizeBytes > compactAtBytes || (isShort && isDelivered)) {
      if (!(await compact())) compactAtBytes = sizeBytes * 2;
      else if (isShort) isShort = !(await reserve.take());
    }
    const lines = linesOf(entries, outbox).map(encode).join('');
    if (entries.some(({op}) => op === 'reading')) await append(lines);
    else await inReserve(() => append(lines));
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
    lostLines: found.lostLines,
    append: (entries) => inTurn(() => write(entries)),
    settle: () => inTurn(settle),
    besides: (work) => inTurn(() => inReserve(work)),
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

/** What has to be dropped before `incoming` readings more may wait. What was in a batch before counts no more than in a batch. */
export const dropFor = (outbox: Outbox, incoming: number, {maxQueued}: SpoolLimits): readonly OutboxEntry[] => {
  const {droppable} = outbox;
  const count = Math.min(droppable, droppable + incoming - maxQueued);
  return count > 0 ? [{op: 'drop', count}] : [];
};
