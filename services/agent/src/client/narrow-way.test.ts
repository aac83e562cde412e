/** Devices whose way to their region lets long bodies through no more: they deliver what they have all the same. */
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {drained, openDeviceBench, readings, type DeviceBench} from '../testing/device-bench.ts';
import {isBatch, type Trouble} from '../testing/fake-region.ts';
import {startMiddlebox} from '../testing/middlebox.ts';
import type {Device} from './device.ts';
import {Outbox} from './outbox.ts';
import type {JsonObject} from './wire.ts';

const HOUR_MS = 3600 * 1000;

let bench: DeviceBench;
beforeEach(async () => {
  bench = await openDeviceBench();
});
afterEach(() => bench.close());

const restart = (): Promise<Device> => {
  const outbox = new Outbox();
  for (const entry of bench.journal) outbox.apply(structuredClone(entry));
  return bench.makeDevice(bench.saved.at(-1), outbox);
};

/** Of the readings that arrived, in order. */
const times = (): number[] =>
  [...bench.region.devices.values()]
    .flatMap(({batches}) => [...batches.values()].flatMap(({records}) => records.map(({t}) => t)))
    .sort((a, b) => a - b);

const conflicts = (): string[] => [...bench.region.devices.values()].flatMap((device) => device.conflicts);

/** What has more than two records meets this. */
const narrow = (trouble: Trouble): void => {
  bench.region.trouble = (path, body: JsonObject) =>
    isBatch(path, body) && Array.isArray(body.records) && body.records.length > 2 ? trouble : undefined;
};

/** A device with four readings in a batch that may have been taken. */
const doubtful = async (): Promise<Device> => {
  const device = await bench.makeDevice();
  await device.record(readings(4));
  await bench.until(device, () => device.session.isPositionKnown, 'position known');
  await device.step();
  expect(device.outbox.toSend?.records).toHaveLength(4);
  return restart();
};

describe('a batch that comes through no more, of a device that never runs for six hours', () => {
  /** Starts again and again. @returns how often, until all is applied */
  const startsUntilDrained = async (runHours: number): Promise<number> => {
    narrow({kind: 'status', status: 408});
    let device = await doubtful();
    await bench.until(device, () => device.outbox.toSend === undefined, 'asked for');
    for (let start = 1; start <= 40; start++) {
      device = await restart();
      await bench.until(device, () => device.session.isPositionKnown && device.outbox.toSend === undefined, 'heard');
      if (runHours > 0) {
        bench.aheadMs += runHours * HOUR_MS;
        const heard = bench.region.seen.length;
        device.ask();
        await bench.until(device, () => bench.region.seen.length > heard, 'heard again');
      }
      if (device.outbox.queued === 0 && device.outbox.batches[0]?.accepted === true) continue;
      await bench.until(device, () => drained(device), 'applied');
      return start;
    }
    throw new Error(`not after 40 starts: ${JSON.stringify(device.outbox.batches)}`);
  };

  test.each([
    [5, 2],
    [2, 3],
    [0, 24],
  ])('is sent smaller when runs of %i hours have measured enough: the start %i', async (runHours, start) => {
    expect(await startsUntilDrained(runHours)).toBe(start);
    expect({times: times(), conflicts: conflicts()}).toEqual({times: [0, 1, 2, 3], conflicts: []});
  });
});

describe('a batch that reaches the region as something else', () => {
  const long = (count: number, bytes: number) =>
    Array.from({length: count}, (_, t) => ({k: 'n', t, d: {text: `${t}`.padEnd(bytes, 'x')}}));
  /** What stands between does this to bodies. @returns how many batches it has seen */
  const standBetween = async (change: (body: Buffer) => Buffer): Promise<() => number> => {
    let batches = 0;
    const box = await startMiddlebox(bench.region.url, async ({call, forward, answer}) => {
      const isLong = call.body.length > 1000 || call.body[0] === 0x1f;
      if (isLong) batches += 1;
      answer(await forward({...call, body: change(call.body)}));
    });
    bench.url = box.url;
    closeBox = () => box.close();
    return () => batches;
  };
  let closeBox: () => Promise<void>;
  afterEach(() => closeBox());

  test('because somebody takes it for text is sent uncompressed', async () => {
    const seen = await standBetween((body) => Buffer.from(body.toString('utf8')));
    const device = await bench.makeDevice();
    await device.record(long(20, 100));
    await bench.until(device, () => drained(device), 'applied');
    expect({times: times(), tries: seen()}).toEqual({times: Array.from({length: 20}, (_, t) => t), tries: 2});
  });

  test.each([
    ['several readings', 20, 200],
    ['one reading', 1, 4000],
  ])(
    'because somebody cuts what is long is asked for, and does not stop what is short: %s',
    async (_what, count, bytes) => {
      await standBetween((body) =>
        body.length > 2000 || body[0] === 0x1f ? body.subarray(0, body.length - 10) : body,
      );
      const device = await bench.makeDevice();
      await device.record(long(count, bytes));
      await bench.until(device, () => device.outbox.batches[0]?.accepted === true, 'asked for');
      expect(device.outbox.batches[0]?.barredMs).toBe(0);
      await device.record([{k: 'n', t: 1000, d: {}}]);
      device.wakeUp('scheduled');
      await bench.until(device, () => times().includes(1000), 'what is behind it');
      if (count === 1) return;
      for (let round = 0; !drained(device) && round < 10; round++) {
        bench.aheadMs += 6 * HOUR_MS;
        device.ask();
        const isWaiting = () => device.outbox.queued === 0 && device.outbox.toSend === undefined;
        const before = bench.region.seen.length;
        await bench.until(device, () => bench.region.seen.length > before && isWaiting(), 'another answer');
      }
      expect({times: times(), conflicts: conflicts()}).toEqual({
        ...{times: [...Array.from({length: count}, (_, t) => t), 1000], conflicts: []},
      });
    },
  );
});

test.each([
  ['that always has something to send', true],
  ['that has nothing to send', false],
])('a batch of a replaced epoch that comes through no more arrives from a device %s', async (_what, hasMore) => {
  narrow({kind: 'status', type: undefined, status: 413});
  const device = await doubtful();
  await bench.until(device, () => device.outbox.toSend === undefined, 'asked for');
  bench.region.extra = ({epoch}) => (epoch === 'e1' ? {commands: [{id: 'c1', type: 'epoch.new'}]} : {});
  device.ask();
  await bench.until(device, () => device.outbox.epoch === 'e2', 'a new epoch');
  const days = 5;
  for (let day = 1; day <= days; day++) {
    bench.aheadMs += 24.5 * HOUR_MS;
    if (hasMore) await device.record([{k: 'n', t: 100 + day, d: {}}]);
    if (hasMore) device.wakeUp('scheduled');
    else device.ask();
    const before = bench.region.seen.length;
    const isQuiet = () => device.outbox.queued === 0 && device.outbox.toSend === undefined;
    await bench.until(device, () => bench.region.seen.length > before && isQuiet(), 'a day');
  }
  await bench.until(device, () => drained(device), 'applied');
  const measured = hasMore ? Array.from({length: days}, (_, day) => 101 + day) : [];
  expect({times: times(), conflicts: conflicts()}).toEqual({times: [0, 1, 2, 3, ...measured], conflicts: []});
});
