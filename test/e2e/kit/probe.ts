import {batchBody, enrolled, post, record, shardRows, type TestDevice} from './device.ts';
import {type Answer} from './http.ts';
import {type Region} from './region.ts';
import {until} from './until.ts';

export interface TimedAnswer extends Answer {
  readonly tookMs: number;
}

/** A device of a known shard, by which a test sees how the region is. */
export interface Probe {
  /** Sends its next batch, or once more the one that was not taken. */
  send(): Promise<TimedAnswer>;
  /** Sends until a batch is taken and waits until the shard has applied it. @returns how many milliseconds that took */
  untilApplied(timeoutMs?: number): Promise<number>;
}

/** Enrols devices until one is of that shard: a device's slot follows from its name. */
export async function probeOn(region: Region, shard: number): Promise<Probe> {
  for (let attempt = 0; attempt < 30; attempt++) {
    const device = await enrolled(region, `probe-${shard}-${attempt}`);
    const [found] = await shardRows(
      region,
      shard,
      `select device_key from device where device_id = '${device.deviceId}'`,
    );
    if (found !== undefined) return createProbe(region, shard, device, found);
  }
  throw new Error(`none of 30 devices is of shard ${shard} of ${region.name}`);
}

function createProbe(region: Region, shard: number, device: TestDevice, deviceKey: string): Probe {
  let batchSeq = 1;
  const send = async (): Promise<TimedAnswer> => {
    const began = performance.now();
    const answer = await post(device, batchBody(device, batchSeq, [record(batchSeq)]));
    if (answer.status === 200) batchSeq += 1;
    return {...answer, tookMs: Math.round(performance.now() - began)};
  };
  return {
    send,
    async untilApplied(timeoutMs = 30_000) {
      const began = performance.now();
      const sent = batchSeq;
      // A device may call twice a second.
      const options = {timeoutMs, everyMs: 500};
      await until(
        `a batch of shard ${shard} to be taken`,
        async () => {
          const {status, text} = await send();
          if (status !== 200) throw new Error(`${status} ${text}`);
          return true;
        },
        options,
      );
      await until(
        `batch ${sent} of shard ${shard} to be applied`,
        async () => {
          const [through] = await shardRows(
            region,
            shard,
            `select applied_through from device_state where device_key = ${deviceKey}`,
          );
          if (Number(through ?? 0) < sent) throw new Error(`applied through ${through ?? 'nothing'}`);
          return true;
        },
        {timeoutMs, everyMs: 100},
      );
      return Math.round(performance.now() - began);
    },
  };
}
