import {setTimeout as delay} from 'node:timers/promises';
import {Latency, type Percentiles} from '@pisync/agent/fleet/latency';
import {bodyOf, type BenchDevice} from './devices.ts';
import {connectHttp, type HttpConnection} from './http-connection.ts';

export interface LoadOptions {
  readonly url: string;
  readonly devices: readonly BenchDevice[];
  /** The number of each device's next batch; kept over rounds, a repeated number would be a duplicate. */
  readonly nextBatch: number[];
  readonly recordsPerSync: number;
  readonly durationMs: number;
}

export interface LoadReport {
  readonly accepted: number;
}

/** Conflict (too far ahead of what is applied), too many requests, unavailable: a device waits and sends the same again. */
const COME_BACK: readonly number[] = [409, 429, 503];
const COME_BACK_MS = 100;

interface DeviceLoad {
  /** Sends the device's next batch, again where it is told to come back. Resolves when it was accepted. */
  readonly sync: () => Promise<void>;
  readonly connection: HttpConnection;
}

const connectDevice = async (options: LoadOptions, device: BenchDevice, index: number): Promise<DeviceLoad> => {
  const {url, nextBatch, recordsPerSync} = options;
  const headers = `Authorization: Bearer ps_${device.deviceId}.${device.secret}\r\nContent-Type: application/json\r\n`;
  const connection = await connectHttp(new URL(url));
  const sync = async (): Promise<void> => {
    const batchSeq = nextBatch[index] ?? 1;
    for (;;) {
      const body = bodyOf(index, batchSeq, Date.now(), recordsPerSync);
      const answer = await connection.post('/v1/sync', headers, body);
      if (answer.status === 200) {
        nextBatch[index] = batchSeq + 1;
        return;
      }
      if (!COME_BACK.includes(answer.status))
        throw new Error(`${url} answered ${answer.status} to a sync: ${answer.body.slice(0, 300)}`);
      await delay(COME_BACK_MS);
    }
  };
  return {sync, connection};
};

/** Every device does `work` over a connection of its own, which was made before the first one begins. */
const withDevices = async (
  options: LoadOptions,
  work: (device: DeviceLoad, index: number) => Promise<void>,
): Promise<void> => {
  const devices = await Promise.all(options.devices.map((device, index) => connectDevice(options, device, index)));
  try {
    await Promise.all(devices.map(work));
  } finally {
    for (const {connection} of devices) connection.close();
  }
};

/**
 * Closed loop: every device sends its next batch as soon as the last one was answered.
 * @throws Error on an answer that is neither an acceptance nor a request to come back
 */
export const runLoad = async (options: LoadOptions): Promise<LoadReport> => {
  let accepted = 0;
  const endMs = performance.now() + options.durationMs;
  await withDevices(options, async ({sync}) => {
    while (performance.now() < endMs) {
      await sync();
      accepted += 1;
    }
  });
  return {accepted};
};

/**
 * Open loop: syncs are due at even distances, `perSecond` of all devices together, whether earlier ones were answered or not. One that is sent late because its
 * device still waits for an answer has waited since it was due.
 * @throws Error on an answer that is neither an acceptance nor a request to come back
 */
export const runPacedLoad = async (
  options: LoadOptions,
  perSecond: number,
): Promise<LoadReport & {readonly waits: Percentiles}> => {
  const {devices, durationMs} = options;
  const syncs = Math.floor((durationMs / 1000) * perSecond);
  const waits = new Latency();
  let startMs: number | undefined;
  await withDevices(options, async ({sync}, index) => {
    startMs ??= performance.now();
    for (let number = index; number < syncs; number += devices.length) {
      const dueMs = startMs + (number / perSecond) * 1000;
      const earlyMs = dueMs - performance.now();
      if (earlyMs > 0) await delay(earlyMs);
      await sync();
      waits.record(performance.now() - dueMs);
    }
  });
  return {accepted: syncs, waits: waits.percentiles};
};
