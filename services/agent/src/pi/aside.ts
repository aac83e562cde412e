/**
 * What the region has refused for good, kept on disk for people: one line of JSON a batch, in two files of which the older one goes when the newer is
 * full. Nothing reads them again.
 */
import {open, rename, stat, type FileHandle} from 'node:fs/promises';
import {join} from 'node:path';
import type {Batch} from '../client/outbox.ts';
import {isRefused} from './disk-error.ts';
import {isMissing, syncFolder} from './spool.ts';

export const REFUSED_FILE = 'refused.ndjson';

/** Of each of the two files. */
const MAX_BYTES = 2 * 1024 * 1024;

const sizeOf = async (path: string): Promise<number> => {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
};

const appendDurably = async (file: FileHandle, line: string): Promise<void> => {
  await file.appendFile(line);
  await file.sync();
};

/** A power cut may have left half a line, to which nothing may be glued. */
const endsInHalfALine = async (file: FileHandle, size: number): Promise<boolean> =>
  size > 0 && (await file.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0] !== 0x0a;

/**
 * Durable when it resolves.
 * @returns false when the disk takes nothing: then nothing may be given up
 */
export const keepAside = async (
  folder: string,
  {epoch, batchSeq, state, records}: Batch,
  reason: string,
  maxBytes = MAX_BYTES,
  append = appendDurably,
): Promise<boolean> => {
  const path = join(folder, REFUSED_FILE);
  const line = `${JSON.stringify({epoch, batchSeq, reason, state, records})}\n`;
  try {
    const before = await sizeOf(path);
    const isOver = before > 0 && before + Buffer.byteLength(line) > maxBytes;
    if (isOver) await rename(path, `${path}.1`);
    const size = isOver ? 0 : before;
    const file = await open(path, 'a+', 0o600);
    try {
      await append(file, (await endsInHalfALine(file, size)) ? `\n${line}` : line);
    } catch (error) {
      await file.truncate(size);
      throw error;
    } finally {
      await file.close();
    }
    await syncFolder(folder);
    return true;
  } catch (error) {
    if (isRefused(error)) return false;
    throw error;
  }
};
