/** Lines for the owner of a device. */
import type {Writable} from 'node:stream';

/** Kept for a reader that has stopped reading. */
const MAX_UNREAD_BYTES = 64 * 1024;

/** What nobody takes is lost, and the device goes on: while journald restarts, behind `| head`, and with its log on a full disk. */
export const logTo = (stream: Writable, nowMs: () => number): ((text: string) => void) => {
  stream.on('error', () => undefined);
  return (text) => {
    if (stream.writableLength < MAX_UNREAD_BYTES) stream.write(`${new Date(nowMs()).toISOString()} ${text}\n`);
  };
};
