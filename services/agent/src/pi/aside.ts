/**
 * What the region has refused for good, kept on disk for people: one line of JSON a batch, in two files of which the older one goes when the newer is
 * full. Nothing reads them again.
 */
import {open, rename, stat} from 'node:fs/promises';
import {join} from 'node:path';
import type {Batch} from '../client/outbox.ts';
import {isFull} from './reserve.ts';
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

/**
 * Durable when it resolves.
 * @returns false when the disk is full: then nothing may be given up
 */
export const keepAside = async (
  folder: string,
  {epoch, batchSeq, state, records}: Batch,
  reason: string,
  maxBytes = MAX_BYTES,
): Promise<boolean> => {
  const path = join(folder, REFUSED_FILE);
  const line = `${JSON.stringify({epoch, batchSeq, reason, state, records})}\n`;
  try {
    const size = await sizeOf(path);
    if (size > 0 && size + Buffer.byteLength(line) > maxBytes) await rename(path, `${path}.1`);
    const file = await open(path, 'a', 0o600);
    try {
      await file.appendFile(line);
      await file.sync();
    } finally {
      await file.close();
    }
    await syncFolder(folder);
    return true;
  } catch (error) {
    if (isFull(error)) return false;
    throw error;
  }
};
