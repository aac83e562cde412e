import {setTimeout as delay} from 'node:timers/promises';
import {Pool} from 'undici';
import {bodyOf, type BenchDevice} from './devices.ts';

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
 * Closed loop: every device sends its next batch as soon as the last one was answered.
 * @throws Error on an answer that is neither an acceptance nor a request to come back
 */
export const runLoad = async ({url, devices, nextBatch, durationMs}: LoadOptions): Promise<LoadReport> => {
  const pool = new Pool(url, {connections: devices.length, pipelining: 1});
  const endMs = performance.now() + durationMs;
  let accepted = 0;
  let turnedAway = 0;
  const drive = async (device: BenchDevice, index: number): Promise<void> => {
    const headers = {
      authorization: `Bearer ps_${device.deviceId}.${device.secret}`,
      'content-type': 'application/json',
    };
    while (performance.now() < endMs) {
      const batchSeq = nextBatch[index] ?? 1;
      const {statusCode, body} = await pool.request({
        path: '/v1/sync',
        method: 'POST',
        headers,
        body: bodyOf(index, batchSeq, Date.now()),
      });
      const text = await body.text();
      if (statusCode === 200) {
        accepted += 1;
        nextBatch[index] = batchSeq + 1;
      } else if (COME_BACK.includes(statusCode)) {
        turnedAway += 1;
        await delay(COME_BACK_MS);
      } else {
        throw new Error(`${url} answered ${statusCode} to a sync: ${text.slice(0, 300)}`);
      }
    }
  };
  try {
    await Promise.all(devices.map(drive));
  } finally {
    await pool.destroy();
  }
  return {accepted, turnedAway};
};
