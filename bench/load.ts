import {setTimeout as delay} from 'node:timers/promises';
import {bodyOf, type BenchDevice} from './devices.ts';
import {connectHttp} from './http-connection.ts';

export interface LoadOptions {
  readonly url: string;
  readonly devices: readonly BenchDevice[];
  /** The number of each device's next batch; kept over rounds, a repeated number would be a duplicate. */
  readonly nextBatch: number[];
  readonly durationMs: number;
}

export interface LoadReport {
  readonly accepted: number;
  /** Answers that told the device to come back later. */
  readonly turnedAway: number;
}

/** Conflict (too far ahead of what is applied), too many requests, unavailable: a device waits and sends the same again. */
const COME_BACK: readonly number[] = [409, 429, 503];
const COME_BACK_MS = 100;

/**
 * Closed loop: every device sends its next batch as soon as the last one was answered, over a connection of its own.
 * @throws Error on an answer that is neither an acceptance nor a request to come back
 */
export const runLoad = async ({url, devices, nextBatch, durationMs}: LoadOptions): Promise<LoadReport> => {
  const endMs = performance.now() + durationMs;
  let accepted = 0;
  let turnedAway = 0;
  const drive = async (device: BenchDevice, index: number): Promise<void> => {
    const headers = `Authorization: Bearer ps_${device.deviceId}.${device.secret}\r\nContent-Type: application/json\r\n`;
    const connection = await connectHttp(new URL(url));
    try {
      while (performance.now() < endMs) {
        const batchSeq = nextBatch[index] ?? 1;
        const {status, body} = await connection.post('/v1/sync', headers, bodyOf(index, batchSeq, Date.now()));
        if (status === 200) {
          accepted += 1;
          nextBatch[index] = batchSeq + 1;
        } else if (COME_BACK.includes(status)) {
          turnedAway += 1;
          await delay(COME_BACK_MS);
        } else {
          throw new Error(`${url} answered ${status} to a sync: ${body.slice(0, 300)}`);
        }
      }
    } finally {
      connection.close();
    }
  };
  await Promise.all(devices.map(drive));
  return {accepted, turnedAway};
};
