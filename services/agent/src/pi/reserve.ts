/**
 * Room kept on a device's disk. Nothing is sent that was not written down, so a device whose disk is full could not even deliver what it has; with
 * this room it can.
 */
import {randomBytes} from 'node:crypto';
import {open, rm, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {isRefused} from './disk-error.ts';

/** Entries for the delivery of a thousand batches, and then the short journal that is left. */
const RESERVE_BYTES = 256 * 1024;

export interface Reserve {
  /** Takes the room where it is not taken. @returns false when the disk has not so much, or takes nothing. @throws other errors of the file system. */
  take(): Promise<boolean>;
  /** Leaves it to whoever writes next. @returns false when it was not taken. */
  give(): Promise<boolean>;
}

const sizeOf = async (path: string): Promise<number | undefined> => (await stat(path).catch(() => undefined))?.size;

export const reserveIn = (folder: string): Reserve => {
  const path = join(folder, 'reserve');
  const fill = async (): Promise<void> => {
    const handle = await open(path, 'w', 0o600);
    try {
      // Zeros would take no room where a file system compresses.
      await handle.writeFile(randomBytes(RESERVE_BYTES));
      await handle.sync();
    } finally {
      await handle.close();
    }
  };
  return {
    async take() {
      if ((await sizeOf(path)) === RESERVE_BYTES) return true;
      try {
        await fill();
        return true;
      } catch (error) {
        await rm(path, {force: true}).catch(() => undefined);
        if (isRefused(error)) return false;
        throw error;
      }
    },
    async give() {
      const was = await sizeOf(path);
      await rm(path, {force: true});
      return was !== undefined;
    },
  };
};
