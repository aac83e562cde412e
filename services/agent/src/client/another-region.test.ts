/** A device that moves: nothing that it sealed for one region is taken for what another one has. */
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {drained, openDeviceBench, type DeviceBench} from '../testing/device-bench.ts';
import {isBatch, startFakeRegion, type FakeRegion} from '../testing/fake-region.ts';
import type {Device} from './device.ts';
import {Outbox} from './outbox.ts';

let bench: DeviceBench;
let second: FakeRegion;
beforeEach(async () => {
  bench = await openDeviceBench();
  second = await startFakeRegion('second');
});
afterEach(async () => {
  await bench.close();
  await second.close();
});

let secrets = 0;
/** Somebody gives the device another address, and has it enrol anew: its identity is removed, its spool stays. */
const moveTo = (region: FakeRegion): Promise<Device> => {
  bench.url = region.url;
  const outbox = new Outbox();
  for (const entry of structuredClone(bench.journal)) outbox.apply(entry);
  return bench.makeDevice({hardwareId: 'pi-1', pending: {secret: `secret-of-move-${++secrets}`}}, outbox);
};

const record = async (device: Device, t: number): Promise<void> => {
  await device.record([{k: 'n', t, d: {}}]);
  device.wakeUp('scheduled');
};

const times = ({devices}: FakeRegion): number[] =>
  [...devices.values()].flatMap(({batches}) => [...batches.values()].flatMap(({records}) => records.map(({t}) => t)));

test.each([
  ['took it and never applied it', true],
  ['never took it', false],
])('comes back with what it sealed for a region that %s', async (_what, isTaken) => {
  const {region} = bench;
  const home = await moveTo(region);
  for (const t of [1, 2, 3]) {
    await record(home, t);
    await bench.until(home, () => drained(home), 'applied');
  }
  second.applied = () => 0;
  second.trouble = (path, body) =>
    isBatch(path, body) && !isTaken ? {kind: 'status', type: undefined, status: 502} : undefined;
  const away = await moveTo(second);
  await record(away, 4);
  await bench.until(away, () => away.outbox.batches[0]?.accepted === isTaken && away.session.attempt > 0, 'sealed');
  expect(away.outbox.batches).toMatchObject([{epoch: 'e1', batchSeq: 1}]);
  const back = await moveTo(region);
  await record(back, 5);
  await bench.until(back, () => drained(back), 'applied');
  expect({
    at: times(region).sort(),
    conflicts: [...region.devices.values()].flatMap(({conflicts}) => conflicts),
  }).toEqual({
    ...{at: [1, 2, 3, 4, 5], conflicts: []},
  });
});

test('what was sealed for the region that it stays with keeps its number', async () => {
  const {region} = bench;
  const home = await moveTo(region);
  region.applied = () => 0;
  await record(home, 1);
  await bench.until(home, () => home.outbox.batches[0]?.accepted === true, 'accepted');
  const again = await moveTo(region);
  await bench.until(again, () => again.outbox.epoch === 'e2', 'a new epoch');
  expect(again.outbox.batches).toMatchObject([{epoch: 'e1', batchSeq: 1, accepted: true}]);
});
