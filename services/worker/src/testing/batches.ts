import {createHash, randomUUID} from 'node:crypto';
import {type BundleItem} from '@pisync/core/broker/bundle';
import {createDeviceKeys} from '@pisync/core/devices/device-keys';
import {DEFAULT_GROUP} from '@pisync/core/devices/groups';
import {enrol} from '@pisync/core/devices/enrolment';
import {dayOf} from '@pisync/core/shards/partitions';
import {tokenHash} from '@pisync/core/devices/tokens';
import {type Shards} from '@pisync/core/shards/shards';
import {type Batch, recordCount} from '../apply/batch.ts';
import {parseContent} from '../apply/parse.ts';

/** A device that a test enrolled. */
export interface TestDevice {
  readonly deviceId: string;
  readonly deviceKey: number;
  readonly slot: number;
}

export const enrolDevices = async (shards: Shards, count: number): Promise<readonly TestDevice[]> => {
  const keys = createDeviceKeys(shards);
  return Promise.all(
    Array.from({length: count}, async () => {
      const deviceId = randomUUID();
      const made = await enrol(shards, keys, {
        deviceId,
        hardwareId: `hw-${deviceId}`,
        secretHash: tokenHash(deviceId),
        groupId: DEFAULT_GROUP,
      });
      if (made.kind === 'refused') throw new Error('a new device is let in');
      return {deviceId, deviceKey: made.deviceKey, slot: made.slot};
    }),
  );
};

export interface BatchFixture {
  readonly device: TestDevice;
  readonly batchSeq: number;
  readonly epoch?: number;
  readonly receivedAtMs?: number;
  readonly receivedDay?: string;
  readonly mode?: string;
  readonly records?: readonly unknown[];
  readonly state?: unknown;
  /** Commands that it answers. */
  readonly cmdAcks?: readonly string[];
}

/** The body that a device would have sent. */
export const bodyOf = ({batchSeq, records, state, cmdAcks}: BatchFixture): Buffer =>
  Buffer.from(
    JSON.stringify({
      epoch: 'e1',
      batchSeq,
      state: state === undefined ? {v: batchSeq} : state,
      records: records ?? [
        {s: batchSeq * 2, k: 'reading', t: 1_763_890_000_000 + batchSeq, d: {celsius: 20 + batchSeq}},
        {s: batchSeq * 2 + 1, k: 'reading', d: {celsius: 21}},
      ],
      ...(cmdAcks === undefined ? {} : {pull: {cmdAcks}}),
    }),
  );

/** A batch of two records unless told otherwise. */
export const batchOf = (fixture: BatchFixture): Batch => {
  const {device, batchSeq, epoch = 1, receivedAtMs = Date.now(), mode = 'delta'} = fixture;
  const payload = bodyOf(fixture);
  return {
    ...device,
    epoch,
    batchSeq,
    contentHash: createHash('sha256').update(payload).digest(),
    receivedAtMs,
    receivedDay: fixture.receivedDay ?? dayOf(receivedAtMs),
    mode,
    reason: 'scheduled',
    payload,
    content: parseContent(payload, {bad: []}),
  };
};

/** A batch as device-api would put it into a bundle. */
export const itemOf = (batch: Batch): BundleItem => ({
  meta: {
    deviceId: batch.deviceId,
    deviceKey: batch.deviceKey,
    slot: batch.slot,
    epoch: batch.epoch,
    batchSeq: batch.batchSeq,
    contentHash: batch.contentHash.toString('hex'),
    receivedAt: batch.receivedAtMs,
    receivedDay: batch.receivedDay,
    mode: batch.mode,
    reason: batch.reason ?? null,
    bad: [],
    records: recordCount(batch),
  },
  payload: batch.payload,
});
