import {createHash, randomBytes, randomUUID} from 'node:crypto';
import {createDeviceKeys} from '@pisync/core/devices/device-keys';
import {enrol} from '@pisync/core/devices/enrolment';
import {DEFAULT_GROUP} from '@pisync/core/devices/groups';
import {type Shards} from '@pisync/core/shards/shards';

export interface BenchDevice {
  readonly deviceId: string;
  readonly deviceKey: number;
  readonly slot: number;
  readonly secret: string;
}

/** Enrols new devices straight in their shards. */
export const enrolDevices = async (shards: Shards, count: number): Promise<readonly BenchDevice[]> => {
  const keys = createDeviceKeys(shards);
  return Promise.all(
    Array.from({length: count}, async () => {
      const deviceId = randomUUID();
      const secret = randomBytes(32).toString('base64url');
      const secretHash = createHash('sha256').update(secret).digest();
      const made = await enrol(shards, keys, {deviceId, hardwareId: deviceId, secretHash, groupId: DEFAULT_GROUP});
      if (made.kind === 'refused') throw new Error(`the new device ${deviceId} is refused`);
      return {deviceId, deviceKey: made.deviceKey, slot: made.slot, secret};
    }),
  );
};

/** What a device that measures every minute or so gathers between two syncs. */
export const RECORDS_PER_SYNC = 20;
const HOUR_MS = 3_600_000;

/** The records of one sync: weather readings an hour apart, all different. */
export const recordsOf = (device: number, batchSeq: number, nowMs: number, count = RECORDS_PER_SYNC) =>
  Array.from({length: count}, (_, index) => {
    // Each number once, also where the counts change from sync to sync, up to RECORDS_PER_SYNC.
    const seq = batchSeq * Math.max(RECORDS_PER_SYNC, count) + index;
    return {
      s: seq,
      k: 'weather',
      t: nowMs - (count - index) * HOUR_MS,
      d: {
        temperatureC: ((device * 7 + seq * 3) % 400) / 10,
        pressureHpa: 980 + ((device + seq) % 500) / 10,
        windMps: ((device * 3 + seq) % 200) / 10,
      },
    };
  });

/** The body of one sync call. */
export const bodyOf = (device: number, batchSeq: number, nowMs: number, count = RECORDS_PER_SYNC): string =>
  JSON.stringify({
    epoch: 'e1',
    batchSeq,
    mode: 'delta',
    reason: 'scheduled',
    state: {fw: 'bench-1', uptimeS: batchSeq * 1200, temperatureC: 41.5},
    records: recordsOf(device, batchSeq, nowMs, count),
  });
