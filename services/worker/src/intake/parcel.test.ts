import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import {expect, test} from '@jest/globals';
import {type BundleMeta, encodeBundle} from '@pisync/core/broker/bundle';
import {batchesOf, deliver, largeBatch} from '../testing/pieces.ts';
import {openParcel, readBatch, weightOf} from './parcel.ts';

const meta: BundleMeta = {
  deviceId: 'device-1',
  deviceKey: 1,
  slot: 0,
  epoch: 1,
  batchSeq: 1,
  contentHash: '0'.repeat(64),
  receivedAt: 0,
  receivedDay: '2026-03-01',
  mode: 'delta',
  reason: null,
  bad: [],
};

const arrive = (payload: Buffer) =>
  openParcel(
    {
      queue: 'test',
      routingKey: 'p00.normal',
      content: encodeBundle([{meta, payload}]),
      attempt: 0,
      returned: 0,
      isLost: () => false,
      ack: () => undefined,
      requeue: () => undefined,
    },
    {isUrgent: false, isParked: false, takenAtMs: 0},
    () => undefined,
  );

const heapBytes = (): number => {
  setFlagsFromString('--expose-gc');
  // A function of V8's that only a new context sees.
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
};

test('what is in hand takes its bytes, however large it becomes when it is read', () => {
  const digits = ',1e20'.repeat(200_000);
  const payload = Buffer.from(`{"records":[{"s":1,"k":"x","d":["\u20ac"${digits}]}]}`);
  const before = heapBytes();
  const parcels = Array.from({length: 16}, () => arrive(payload));
  // Read it is 9 MB each, in the heap.
  expect(heapBytes() - before).toBeLessThan(4_000_000);
  const [piece] = parcels.flatMap(({pieces}) => pieces);
  expect(piece === undefined ? undefined : readBatch(piece).content).toMatchObject({
    records: [{data: expect.stringMatching(/^.{4000000}/)}],
  });
});

test.each([
  [
    'no record',
    deliver({batches: [{...largeBatch(1), payload: Buffer.from('{}'), content: {kind: 'rejected', reason: ''}}]}),
    1,
  ],
  ['two small records', deliver({batches: batchesOf(1)}), 2],
  ['a record of 90 KiB', deliver({batches: [largeBatch(90 * 1024)]}), 91],
])('a batch of %s has its weight', (_name, {pieces}, expected) => {
  expect(pieces.map(weightOf)).toEqual([expected]);
});
