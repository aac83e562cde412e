/** What may have been taken, and numbers that may be used: neither twice nor never. */
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {drained, openDeviceBench, readings, type DeviceBench} from '../testing/device-bench.ts';
import {isBatch, type FakeRegion, type Trouble} from '../testing/fake-region.ts';
import {contentHash} from './content.ts';
import type {Device} from './device.ts';
import type {Identity} from './identity.ts';
import {WINDOW_BATCHES} from './machine.ts';
import {Outbox, type OutboxEntry} from './outbox.ts';
import type {SyncBody} from './wire.ts';

let bench: DeviceBench;
let region: FakeRegion;
const makeDevice = (identity?: Identity, outbox?: Outbox): Promise<Device> => bench.makeDevice(identity, outbox);
const until = (device: Device, done: () => boolean, what: string): Promise<void> => bench.until(device, done, what);

beforeEach(async () => {
  bench = await openDeviceBench();
  ({region} = bench);
});
afterEach(() => bench.close());

const taken = (): string[] =>
  [...region.devices.values()].flatMap(({batches}) =>
    [...batches].map(([key, {records}]) => `${key} ${records.map(({s}) => s).join(',')}`),
  );

describe('a batch that may have been taken', () => {
  const HANG_UP: Trouble = {kind: 'take-and-hang-up'};
  const PAGE_413: Trouble = {kind: 'status', type: undefined, status: 413};
  const SLOW: Trouble = {kind: 'status', status: 408};
  const times = (): number[] =>
    [...region.devices.values()]
      .flatMap(({batches}) => [...batches.values()].flatMap(({records}) => records.map(({t}) => t)))
      .sort((a, b) => a - b);
  const conflicts = (): string[] => [...region.devices.values()].flatMap((device) => device.conflicts);
  /** The n-th batch meets the n-th trouble. */
  const meet = (...troubles: readonly (Trouble | undefined)[]): (() => number) => {
    let calls = 0;
    region.trouble = (path, body) => (isBatch(path, body) ? troubles[calls++] : undefined);
    return () => calls;
  };
  const restart = (): Promise<Device> => {
    const outbox = new Outbox();
    for (const entry of bench.journal) outbox.apply(structuredClone(entry));
    return makeDevice(bench.saved.at(-1), outbox);
  };

  test.each([
    ['its answer lost, and is too large for a proxy the second time', PAGE_413],
    ['its answer lost, and is too slow the second time', SLOW],
  ])('%s keeps its number and its content', async (_what, trouble) => {
    meet(HANG_UP, trouble);
    const device = await makeDevice();
    await device.record(readings(4));
    await until(device, () => drained(device), 'applied');
    expect({taken: taken(), conflicts: conflicts()}).toEqual({taken: ['e1:1 1,2,3,4'], conflicts: []});
  });

  test.each([PAGE_413, SLOW])('before a power cut keeps its number and its content: %j', async (trouble) => {
    region.applied = () => 0;
    const calls = meet(HANG_UP, trouble);
    const device = await makeDevice();
    await device.record(readings(4));
    await until(device, () => calls() === 1 && device.session.failures === 1, 'sent');
    const again = await restart();
    await until(again, () => calls() >= 3, 'sent again');
    region.applied = undefined;
    again.wakeUp('scheduled');
    await until(again, () => drained(again), 'applied');
    expect({times: times(), conflicts: conflicts()}).toEqual({times: [0, 1, 2, 3], conflicts: []});
  });

  test('and is applied is not sent for ever where the network lets it through no more', async () => {
    const calls = meet(HANG_UP, ...Array.from({length: 20}, () => SLOW));
    const device = await makeDevice();
    await device.record(readings(4));
    await until(device, () => drained(device), 'found to be applied');
    expect({calls: calls(), taken: taken()}).toEqual({calls: 4, taken: ['e1:1 1,2,3,4']});
  });

  /** As if the device had sent nothing for so long, and asked then. */
  const askAfter = async (device: Device, hours: number): Promise<void> => {
    bench.aheadMs += hours * 3600 * 1000;
    const heartbeats = (): number => region.seen.filter(({body}) => body.mode === 'heartbeat').length;
    const before = heartbeats();
    device.ask();
    await until(device, () => heartbeats() > before && device.outbox.toSend === undefined, 'answered');
  };

  test('and waits at the region is not numbered anew before it can have been applied', async () => {
    region.applied = () => 0;
    meet(HANG_UP, ...Array.from({length: 20}, () => SLOW));
    const device = await makeDevice();
    await device.record(readings(4));
    await until(device, () => device.outbox.batches[0]?.accepted === true, 'asked for');
    await askAfter(device, 5);
    region.applied = undefined;
    await askAfter(device, 1);
    expect({drained: drained(device), times: times(), epoch: device.outbox.epoch}).toEqual({
      ...{drained: true, times: [0, 1, 2, 3], epoch: 'e1'},
    });
  });

  test('and was not is sent smaller, behind an empty one, after hours', async () => {
    region.trouble = (path, body) =>
      isBatch(path, body) && Array.isArray(body.records) && body.records.length > 2 ? SLOW : undefined;
    const device = await makeDevice();
    await device.record(readings(4));
    await until(device, () => device.session.isPositionKnown, 'position known');
    await device.step();
    expect(device.outbox.toSend?.records).toHaveLength(4);
    const again = await restart();
    await until(again, () => again.outbox.toSend === undefined, 'asked for');
    await askAfter(again, 6);
    await until(again, () => drained(again), 'applied');
    expect({taken: taken(), conflicts: conflicts()}).toEqual({
      ...{taken: ['e1:1 ', 'e1:2 5,6', 'e1:3 7,8'], conflicts: []},
    });
  });

  test.each<[string, Trouble, boolean]>([
    ['resets', {kind: 'hang-up'}, false],
    ['answers with a 502', {kind: 'status', type: undefined, status: 502}, false],
    ['takes, and then resets', HANG_UP, true],
  ])('behind a proxy that %s what is long is sent smaller, and once', async (_how, trouble, isTaken) => {
    region.trouble = (path, body) =>
      isBatch(path, body) && Array.isArray(body.records) && body.records.length > 2 ? trouble : undefined;
    const device = await makeDevice();
    await device.record(readings(4));
    await until(
      device,
      () => device.outbox.epoch !== undefined && device.outbox.toSend === undefined && device.outbox.queued === 0,
      'asked for',
    );
    await askAfter(device, 6);
    await device.record([4, 5, 6].map((t) => ({k: 'n', t, d: {}})));
    device.wakeUp('scheduled');
    await until(device, () => drained(device), 'applied');
    expect({times: times(), conflicts: conflicts()}).toEqual({times: [0, 1, 2, 3, 4, 5, 6], conflicts: []});
    const batches = taken().map((name) => name.replace(/:.*/, ''));
    expect({first: batches[0], isTaken: taken()[0] === 'e1:1 1,2,3,4'}).toEqual({first: 'e1', isTaken});
  });

  test.each([1, 4])('and is answered at a length that is not read is asked for: %i readings', async (count) => {
    region.extra = ({mode}) => (mode === 'heartbeat' ? {} : {padding: 'x'.repeat(1024 * 1024)});
    const device = await makeDevice();
    await device.record(readings(count));
    await until(device, () => drained(device), 'found to be applied');
    expect({batches: taken().length, conflicts: conflicts(), limit: device.session.narrowed}).toEqual({
      ...{batches: 1, conflicts: [], limit: Infinity},
    });
  });

  test('is sent again as it is after an outage, in which nothing came through', async () => {
    let isOut = true;
    region.trouble = (path) => (isOut && path === '/v1/sync' ? {kind: 'hang-up'} : undefined);
    const device = await makeDevice();
    await device.record(readings(4));
    await until(device, () => device.session.failures >= 3, 'the outage');
    isOut = false;
    await until(device, () => device.outbox.toSend !== undefined, 'sealed');
    isOut = true;
    await until(device, () => device.session.failures >= 30, 'the next outage');
    isOut = false;
    await until(device, () => drained(device), 'applied');
    expect(taken()).toEqual(['e1:1 1,2,3,4']);
  });

  test('and was accepted, and is lost, is numbered anew in smaller ones behind an empty one, but not on the first day', async () => {
    const device = await makeDevice();
    region.applied = () => 0;
    for (const count of [1, 4, 4]) {
      await device.record(readings(count));
      device.wakeUp('scheduled');
      await until(device, () => device.outbox.queued === 0 && device.outbox.toSend === undefined, 'accepted');
    }
    const [known] = region.devices.values();
    known?.batches.delete('e1:2');
    region.applied = undefined;
    region.trouble = (path, body) =>
      isBatch(path, body) && Array.isArray(body.records) && body.records.length > 2 ? PAGE_413 : undefined;
    const heartbeats = (): number => region.seen.filter(({body}) => body.mode === 'heartbeat').length;
    const ask = async (): Promise<void> => {
      const before = heartbeats();
      device.ask();
      await until(device, () => heartbeats() > before && device.outbox.toSend === undefined, 'answered');
    };
    const nextDay = async (): Promise<void> => {
      await ask();
      bench.aheadMs += 24 * 3600 * 1000;
      await ask();
    };
    await nextDay();
    expect(taken()).toEqual(['e1:1 1', 'e1:3 6,7,8,9']);
    expect(device.outbox.batches).toMatchObject([
      {batchSeq: 2, accepted: true},
      {batchSeq: 3, accepted: true},
    ]);
    await nextDay();
    await until(device, () => drained(device), 'applied');
    expect({taken: taken(), conflicts: conflicts(), epoch: device.outbox.epoch}).toEqual({
      taken: ['e1:1 1', 'e1:3 6,7,8,9', 'e1:2 ', 'e1:4 10,11', 'e1:5 12,13'],
      conflicts: [],
      epoch: 'e1',
    });
  });

  test('and was accepted keeps its number and its content however often the device starts', async () => {
    let device = await makeDevice();
    await device.record(readings(4));
    region.applied = () => 0;
    await until(device, () => device.outbox.batches[0]?.accepted === true, 'accepted');
    let refused = 0;
    region.trouble = (path, body) => {
      if (!isBatch(path, body)) return undefined;
      refused += 1;
      return PAGE_413;
    };
    for (let start = 1; start <= 12; start++) {
      device = await restart();
      await until(device, () => device.session.isPositionKnown && device.outbox.toSend === undefined, 'an answer');
    }
    // At the fourth start it is sent again, and then not while a copy of it may be on its way.
    expect({refused, batches: device.outbox.batches}).toMatchObject({
      refused: 3,
      batches: [{records: [{}, {}, {}, {}]}],
    });
  });

  test('that answers a command for a full sync still does so with half its readings', async () => {
    let asked = 0;
    region.extra = () => (asked++ === 1 ? {commands: [{id: 'c1', type: 'sync.full'}]} : {});
    region.trouble = (path, body) =>
      isBatch(path, body) && Array.isArray(body.records) && body.records.length > 2 ? PAGE_413 : undefined;
    const device = await makeDevice();
    await device.record(readings(1));
    await until(device, () => device.session.answering.length > 0, 'asked');
    await device.record(readings(4));
    await until(device, () => drained(device), 'applied');
    const full = region.seen.filter(({body}) => body.mode === 'full').map(({body}) => body);
    expect(full).toMatchObject([
      {batchSeq: 2},
      {batchSeq: 2, records: [{}, {}], pull: {cmdAcks: ['c1']}, state: {v: 1}},
    ]);
  });

  test.each<[string, Trouble]>([
    ['overload', {kind: 'status', status: 503, body: {code: 'overloaded'}, headers: {'retry-after': '0'}}],
    ['its quota', {kind: 'status', status: 429, headers: {'retry-after': '1'}}],
  ])('is none that the region turned away for %s: it is halved', async (_what, first) => {
    let calls = 0;
    region.trouble = (path, body) => {
      if (!isBatch(path, body)) return undefined;
      if (calls++ === 0) return first;
      return Array.isArray(body.records) && body.records.length > 2 ? SLOW : undefined;
    };
    const device = await makeDevice();
    await device.record(readings(4));
    await until(device, () => drained(device), 'applied');
    expect(taken()).toEqual(['e1:1 1,2', 'e1:2 3,4']);
  });

  test('and is too large for a proxy at its second try within one call is kept twice and not lost', async () => {
    let calls = 0;
    region.trouble = (path, body) => {
      if (!isBatch(path, body)) return undefined;
      if (calls++ > 0) return undefined;
      const {state, records} = body as unknown as SyncBody;
      const [known] = region.devices.values();
      known?.batches.set('e1:1', {hash: contentHash(state, records), state, records});
      return PAGE_413;
    };
    const device = await makeDevice();
    await device.record(readings(4));
    await until(device, () => drained(device), 'applied');
    expect({times: new Set(times()), conflicts: conflicts()}).toEqual({
      times: new Set([0, 1, 2, 3]),
      conflicts: ['e1:1'],
    });
  });

  test('is repeated with not a byte more', async () => {
    const calls = meet(HANG_UP, HANG_UP);
    const device = await makeDevice();
    await device.record(readings(4));
    await until(device, () => calls() === 1, 'sent once');
    await device.record(readings(1));
    await until(device, () => calls() >= 3, 'repeated');
    const sizes = region.seen
      .filter(({path, body}) => isBatch(path, body))
      .slice(0, 3)
      .map(({body}) => JSON.stringify(body).length);
    expect(Math.max(...sizes)).toBe(sizes[0]);
  });
});

describe('a device whose numbers may be used already', () => {
  test.each(['before its first batch', 'before its enrolment'])(
    'as a backup from %s, takes a new epoch',
    async (when) => {
      let backup = {
        identity: {hardwareId: 'pi-1', pending: {secret: 'first-secret'}} as Identity,
        journal: [] as OutboxEntry[],
      };
      const device = await makeDevice();
      await until(device, () => device.outbox.epoch !== undefined, 'enrolled');
      const identity = bench.saved.at(-1);
      if (when === 'before its first batch' && identity !== undefined) backup = {identity, journal: [...bench.journal]};
      await device.record(readings(3));
      await until(device, () => drained(device), 'applied');
      const outbox = new Outbox();
      for (const entry of backup.journal) outbox.apply(entry);
      const restored = await makeDevice(backup.identity, outbox);
      await restored.record(readings(2));
      await until(restored, () => drained(restored), 'applied in a new epoch');
      expect(taken()).toEqual(['e1:1 1,2,3', 'e2:1 1,2']);
      expect([...region.devices.values()].flatMap(({conflicts}) => conflicts)).toEqual([]);
    },
  );

  test('keeps its credential, and sends nothing new, while nobody lets it enrol', async () => {
    const device = await makeDevice();
    await device.record(readings(1));
    await until(device, () => drained(device), 'applied');
    region.token = 'another';
    const outbox = new Outbox();
    for (const entry of bench.journal) outbox.apply(structuredClone(entry));
    outbox.apply({op: 'lost', lines: 1});
    const again = await makeDevice(bench.saved.at(-1), outbox);
    await again.record(readings(2));
    const tried = (): number => region.seen.filter(({path}) => path === '/v1/enroll').length;
    await until(again, () => tried() === 4, 'three refusals');
    expect({current: again.identity.current?.secret, taken: taken()}).toEqual({
      current: 'first-secret',
      taken: ['e1:1 1'],
    });
    region.token = 'enrol-me';
    await until(again, () => drained(again), 'applied');
    expect(taken()).toEqual(['e1:1 1', 'e2:1 1,2']);
  });
});

test('a device of a region that was restored sends what it has of the old epoch once more, and goes on in the new one', async () => {
  const device = await makeDevice();
  const sync = async (batches: number): Promise<void> => {
    for (let batch = 0; batch < batches; batch++) {
      await device.record(readings(1));
      device.wakeUp('scheduled');
      await until(device, () => device.outbox.queued === 0 && device.outbox.toSend === undefined, 'sent');
    }
  };
  await sync(20);
  device.ask();
  await until(device, () => drained(device), 'applied');
  const [known] = region.devices.values();
  for (let batch = 6; batch <= 20; batch++) known?.batches.delete(`e1:${batch}`);
  await sync(50);
  await until(device, () => device.outbox.epoch === 'e2', 'a new epoch');
  await until(device, () => device.outbox.toSend === undefined, 'sent');
  expect(device.outbox.batches.filter(({epoch}) => epoch === 'e1')).toEqual([]);
  expect(known?.conflicts).toEqual([]);
  expect([...(known?.batches.values() ?? [])].flatMap(({records}) => records)).toHaveLength(70 - 15);

  // The window of the new epoch is full, and it is the one that is asked about.
  region.applied = () => 1;
  while (device.outbox.lastBatchSeq - device.outbox.applied < WINDOW_BATCHES) await sync(1);
  region.applied = undefined;
  await device.record(readings(1));
  device.wakeUp('scheduled');
  await until(device, () => drained(device), 'all applied');
}, 30_000);
