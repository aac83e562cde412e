import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {drained, openDeviceBench, readings, type DeviceBench} from '../testing/device-bench.ts';
import {isBatch, type FakeRegion, type Trouble} from '../testing/fake-region.ts';
import type {Device} from './device.ts';
import type {Identity} from './identity.ts';
import {Outbox, type OutboxEntry} from './outbox.ts';

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

describe('a device', () => {
  test('enrols, sends what waits, and forgets it once it is applied', async () => {
    const device = await makeDevice();
    await device.record(readings(3));
    await until(device, () => drained(device), 'everything applied');
    expect(taken()).toEqual(['e1:1 1,2,3']);
    expect(bench.saved.at(-1)).toEqual({
      hardwareId: 'pi-1',
      current: expect.objectContaining({epoch: 'e1', secret: 'first-secret', region: 'fake'}),
    });
    expect(region.seen[0]?.host).toBe('eu.example.com');
  });

  test('keeps an accepted batch until the region says it is applied', async () => {
    region.applied = () => 0;
    const device = await makeDevice();
    await device.record(readings(2));
    await until(device, () => device.outbox.batches[0]?.accepted === true, 'accepted');
    expect(device.outbox.batches).toHaveLength(1);
    region.applied = undefined;
    device.wakeUp('scheduled');
    await until(device, () => device.outbox.applied === 2, 'applied');
    expect(device.outbox.batches).toHaveLength(0);
  });

  test('sends the same bytes again after an answer was lost, and is told of a duplicate', async () => {
    let calls = 0;
    region.trouble = (path, body) => (isBatch(path, body) && calls++ === 0 ? {kind: 'take-and-hang-up'} : undefined);
    const device = await makeDevice();
    await device.record(readings(2));
    await until(device, () => drained(device), 'applied');
    expect(taken()).toEqual(['e1:1 1,2']);
    expect([...region.devices.values()].flatMap(({conflicts}) => conflicts)).toEqual([]);
    expect(region.seen.at(-1)?.body).toMatchObject({stats: {attempt: 2}});
  });

  test('halves a batch that is too large, and never reuses a number for two contents', async () => {
    region.trouble = (path, body) =>
      isBatch(path, body) && Array.isArray(body.records) && body.records.length > 3
        ? {kind: 'status', status: 413, body: {maxRecords: 3}}
        : undefined;
    const device = await makeDevice();
    await device.record(readings(7));
    await until(device, () => drained(device), 'all sent');
    expect(taken()[0]).toBe('e1:1 1,2,3');
    const numbers = [...region.devices.values()].flatMap(({batches}) =>
      [...batches.values()].flatMap((b) => b.records),
    );
    expect(numbers.map(({s}) => s)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test('gives up content that is refused and goes on with the next number', async () => {
    region.trouble = (path, body) =>
      isBatch(path, body) && body.batchSeq === 1 && JSON.stringify(body.records).includes('poison')
        ? {kind: 'status', status: 400}
        : undefined;
    const device = await makeDevice();
    await device.record([{k: 'poison', t: 0, d: {}}]);
    await until(device, () => drained(device), 'emptied');
    await device.record(readings(1));
    device.wakeUp('scheduled');
    await until(device, () => drained(device) && device.outbox.applied === 2, 'next batch');
    expect(taken()).toEqual(['e1:1 ', 'e1:2 2']);
  });

  test('takes a 422 that names the batch as accepted', async () => {
    region.trouble = (path, body) =>
      isBatch(path, body)
        ? {
            kind: 'status',
            status: 422,
            body: {accepted: 1, applied: 1, errors: [{pointer: '/records/0', detail: 'no'}]},
          }
        : undefined;
    const device = await makeDevice();
    await device.record(readings(2));
    await until(device, () => drained(device), 'accepted');
    expect(region.seen.filter(({path, body}) => isBatch(path, body))).toHaveLength(1);
  });

  const PROXY = {kind: 'status', type: undefined} as const;
  test.each<[string, Trouble]>([
    ['a JSON document with status 200', {...PROXY, status: 200, body: {ok: true}}],
    ['the answer to another batch', {...PROXY, status: 200, body: {accepted: 7, applied: 99}}],
    ['the answer to a heartbeat', {...PROXY, status: 200, body: {applied: 99}}],
    ['a 400 of its own', {...PROXY, status: 400}],
    ['a 403 of its own', {...PROXY, status: 403}],
    ['a 409 of its own', {...PROXY, status: 409, body: {expected: 1}}],
    ['a 422 of its own', {...PROXY, status: 422, body: {accepted: 1, applied: 1}}],
  ])('believes nothing when somebody in between answers with %s', async (_what, trouble) => {
    let calls = 0;
    region.trouble = (path, body) => (isBatch(path, body) && calls++ < 3 ? trouble : undefined);
    const device = await makeDevice();
    await device.record(readings(2));
    await until(device, () => calls === 3, 'three foreign answers');
    expect([...device.outbox.batches]).toMatchObject([{epoch: 'e1', batchSeq: 1, accepted: false}]);
    expect(device.session).toMatchObject({failures: 3, phase: 'sync', newSecretWanted: false});
    await until(device, () => drained(device), 'applied');
    expect(taken()).toEqual(['e1:1 1,2']);
    expect(device.outbox.dropped).toBe(0);
  });

  test('sends less when somebody in between finds a batch too large, and gives up none of it', async () => {
    let calls = 0;
    region.trouble = (path, body) => (isBatch(path, body) && calls++ < 12 ? {...PROXY, status: 413} : undefined);
    const device = await makeDevice();
    await device.record(readings(4));
    await until(device, () => calls === 12, 'twelve foreign answers');
    // Of 4, of 2, and ten of 1.
    expect(device.session.failures).toBe(10);
    await until(device, () => drained(device), 'applied');
    expect(taken()).toEqual(['e1:1 1', 'e1:2 2,3', 'e1:3 4']);
    expect(device.outbox.dropped).toBe(0);
  });

  test.each([400, 413])('gives up what is refused with %d three times in a row, and counts it', async (status) => {
    let refused = 0;
    region.trouble = (path, body) =>
      isBatch(path, body) && JSON.stringify(body.records).includes('poison')
        ? {kind: 'status', status: ++refused === 3 ? 503 : status}
        : undefined;
    const device = await makeDevice();
    await device.record([{k: 'poison', t: 0, d: {}}]);
    await until(device, () => drained(device), 'emptied');
    expect({refused, dropped: device.outbox.dropped}).toEqual({refused: 6, dropped: 1});
    expect(bench.aside).toMatchObject([{epoch: 'e1', batchSeq: 1, records: [{k: 'poison'}]}]);
  });

  test('takes a new epoch before it numbers anything when its storage is a restored backup', async () => {
    const device = await makeDevice();
    await device.record(readings(1));
    await until(device, () => drained(device), 'applied');
    const backup = {identity: bench.saved.at(-1), journal: structuredClone(bench.journal)};
    await device.record(readings(1));
    device.wakeUp('scheduled');
    await until(device, () => device.outbox.applied === 2, 'applied after the backup');

    const outbox = new Outbox();
    for (const entry of backup.journal) outbox.apply(entry);
    const restored = await makeDevice(backup.identity, outbox);
    await restored.record([{k: 'new', t: 99, d: {}}]);
    await until(restored, () => drained(restored), 'applied in a new epoch');
    expect(taken()).toEqual(['e1:1 1', 'e1:2 2', 'e2:1 1']);
    expect([...region.devices.values()].flatMap(({conflicts}) => conflicts)).toEqual([]);
  });

  test('numbers anew what a region that was reset never gave an epoch for', async () => {
    const outbox = new Outbox();
    const reading = (t: number): OutboxEntry => ({op: 'reading', reading: {k: 'n', t, d: {}}});
    const seal: OutboxEntry = {op: 'seal', count: 1, mode: 'delta', reason: 'scheduled'};
    // In e4 one batch was accepted and never applied; then came e5 with another.
    for (const entry of [
      {op: 'epoch', epoch: 'e4', life: 'one'},
      reading(1),
      seal,
      {op: 'accepted', epoch: 'e4', batchSeq: 1},
      {op: 'epoch', epoch: 'e5', life: 'two'},
      reading(2),
      seal,
    ] as const satisfies readonly OutboxEntry[]) {
      outbox.apply(entry);
    }
    const device = await makeDevice(
      {
        hardwareId: 'pi-1',
        current: {secret: 'old', deviceId: 'x', credential: 'ps_x.old', epoch: 'e5', region: region.name},
      },
      outbox,
    );
    const askUntilDrained = (): boolean => {
      device.ask();
      return drained(device);
    };
    await until(device, askUntilDrained, 'applied');
    const times = [...region.devices.values()].flatMap(({batches}) =>
      [...batches.values()].flatMap(({records}) => records.map(({t}) => t)),
    );
    expect(times.sort()).toEqual([1, 2]);
  });

  test('does not number anew what was taken before, when it is too large the second time', async () => {
    const device = await makeDevice();
    region.applied = () => 0;
    for (let batch = 1; batch <= 2; batch++) {
      await device.record(readings(2));
      device.wakeUp('scheduled');
      await until(device, () => device.outbox.batches[batch - 1]?.accepted === true, 'accepted');
    }
    let refused = 0;
    region.trouble = (path, body) => {
      if (!isBatch(path, body)) return undefined;
      if (body.batchSeq === 3) return {kind: 'status', status: 409, body: {expected: 1}};
      return refused++ < 3 ? {kind: 'status', status: 413, body: {maxRecords: 1}} : undefined;
    };
    await device.record(readings(1));
    device.wakeUp('scheduled');
    await until(device, () => refused > 3, 'the resend');
    region.trouble = () => undefined;
    region.applied = undefined;
    await until(device, () => drained(device), 'all applied');
    expect(taken()).toEqual(['e1:1 1,2', 'e1:2 3,4', 'e1:3 5']);
    expect([...region.devices.values()].flatMap(({conflicts}) => conflicts)).toEqual([]);
  });

  test('enrols again with the same secret after 401, and goes on in the same epoch', async () => {
    let calls = 0;
    region.trouble = (path, body) => (isBatch(path, body) && calls++ === 0 ? {kind: 'status', status: 401} : undefined);
    const device = await makeDevice();
    await device.record(readings(1));
    await until(device, () => drained(device), 'applied');
    expect(taken()).toEqual(['e1:1 1']);
    expect(region.seen.map(({path}) => path)).toEqual(['/v1/enroll', '/v1/sync', '/v1/sync', '/v1/enroll', '/v1/sync']);
  });

  test.each(['/v1/sync', '/v1/enroll'])(
    'keeps what it has while it is revoked, and goes on when it is reinstated before a call of %s',
    async (path) => {
      const device = await makeDevice();
      await device.record(readings(2));
      await until(device, () => drained(device), 'applied');
      const state = {refusals: 0, isIn: false};
      region.trouble = (asked) => {
        state.isIn ||= state.refusals >= 9 && asked === path;
        return state.isIn ? undefined : {kind: 'status', status: 403, body: {code: 'forbidden', n: ++state.refusals}};
      };
      await device.record(readings(3));
      device.wakeUp('scheduled');
      await until(device, () => state.isIn && drained(device), 'applied');
      expect(taken()).toEqual(['e1:1 1,2', 'e1:2 3,4,5']);
      expect([...region.devices.values()].flatMap(({conflicts}) => conflicts)).toEqual([]);
    },
  );

  test('begins again in a region that lost its data, even if the epoch has the old name', async () => {
    const device = await makeDevice();
    await device.record(readings(2));
    await until(device, () => drained(device), 'applied');
    region.devices.clear();
    await device.record(readings(3));
    device.wakeUp('scheduled');
    await until(device, () => drained(device) && device.session.phase === 'sync', 'applied anew');
    expect(taken()).toEqual(['e1:1 1,2,3']);
    expect(bench.saved.at(-1)).toMatchObject({current: {secret: 'secret-1'}});
  });

  test('takes a new epoch with a new secret when told so, and numbers from 1', async () => {
    region.extra = ({epoch, mode}) =>
      epoch === 'e1' && mode !== 'heartbeat' ? {commands: [{id: 'c1', type: 'epoch.new'}]} : {};
    const device = await makeDevice();
    await device.record(readings(2));
    await until(device, () => device.outbox.epoch === 'e2', 'new epoch');
    await device.record(readings(1));
    device.wakeUp('scheduled');
    await until(device, () => drained(device) && device.outbox.applied === 1, 'applied in the new epoch');
    expect(taken()).toEqual(['e1:1 1,2', 'e2:1 1']);
    expect(bench.saved.at(-1)).toMatchObject({current: {secret: 'secret-1'}});
  });

  test('answers a sync.full command at once, with state and without readings', async () => {
    let asked = false;
    region.extra = ({mode}) => {
      if (asked || mode === 'heartbeat') return {};
      asked = true;
      return {commands: [{id: 'c1', type: 'sync.full'}]};
    };
    const device = await makeDevice();
    await device.record(readings(1));
    await until(device, () => device.outbox.applied === 2, 'the forced sync');
    expect(region.seen.at(-1)?.body).toMatchObject({mode: 'full', reason: 'forced', pull: {cmdAcks: ['c1']}});
  });

  test('resends from what the region misses', async () => {
    let forgotten = false;
    const device = await makeDevice();
    region.applied = () => 0;
    for (let batch = 0; batch < 3; batch++) {
      await device.record(readings(1));
      device.wakeUp('scheduled');
      await until(
        device,
        () =>
          device.outbox.queued === 0 && device.outbox.toSend === undefined && device.outbox.lastBatchSeq === batch + 1,
        'accepted',
      );
    }
    region.trouble = (path, body) => {
      if (forgotten || !isBatch(path, body) || body.batchSeq !== 4) return undefined;
      forgotten = true;
      for (const known of region.devices.values()) known.batches.delete('e1:2');
      return {kind: 'status', status: 409, body: {expected: 2}};
    };
    region.applied = undefined;
    await device.record(readings(1));
    device.wakeUp('scheduled');
    await until(device, () => device.outbox.applied === 4, 'all applied');
    expect(taken().sort()).toEqual(['e1:1 1', 'e1:2 2', 'e1:3 3', 'e1:4 4']);
  });

  test('keeps what is refused for good in the outbox while the disk has no room for it elsewhere', async () => {
    bench.hasRoom = false;
    region.trouble = (path, body) =>
      isBatch(path, body) && JSON.stringify(body.records).includes('poison')
        ? {kind: 'status', status: 400}
        : undefined;
    const device = await makeDevice();
    await device.record([{k: 'poison', t: 0, d: {}}]);
    await until(device, () => region.seen.length > 7, 'refused often');
    expect(device.outbox).toMatchObject({dropped: 0, batches: [{records: [{k: 'poison'}]}]});
    bench.hasRoom = true;
    await until(device, () => drained(device), 'set aside');
    expect(bench.aside).toHaveLength(1);
  });

  test('waits for Retry-After', async () => {
    let calls = 0;
    region.trouble = (path, body) =>
      isBatch(path, body) && calls++ === 0 ? {kind: 'status', status: 503, headers: {'retry-after': '30'}} : undefined;
    const device = await makeDevice();
    await device.record(readings(1));
    await until(device, () => device.session.failures === 1, 'refused once');
    expect(device.session.notBeforeMs - performance.now()).toBeGreaterThan(29_000);
    expect(await device.step()).toBe(device.session.notBeforeMs);
  });

  test('waits for its quota as long as the region says, and takes that for no failure', async () => {
    let calls = 0;
    region.trouble = (path, body) =>
      isBatch(path, body) && calls++ === 0 ? {kind: 'status', status: 429, headers: {'retry-after': '1'}} : undefined;
    const device = await makeDevice();
    await device.record(readings(1));
    await until(device, () => device.session.attempt === 2, 'over quota once');
    const {failures, notBeforeMs} = device.session;
    expect(failures).toBe(0);
    expect(notBeforeMs - performance.now()).toBeGreaterThan(500);
    await until(device, () => drained(device), 'applied');
    expect(performance.now()).toBeGreaterThanOrEqual(notBeforeMs);
    expect(region.seen.at(-1)?.body).toMatchObject({stats: {attempt: 2}});
  });

  test('goes on after a power cut from its journal', async () => {
    region.applied = () => 0;
    const device = await makeDevice();
    await device.record(readings(2));
    await until(device, () => device.outbox.batches[0]?.accepted === true, 'accepted');
    const replayed = new Outbox();
    for (const entry of bench.journal) replayed.apply(structuredClone(entry));
    expect([...replayed.entries()]).toEqual([...device.outbox.entries()]);
    region.applied = undefined;
    const again = await makeDevice(bench.saved.at(-1), replayed);
    await again.record(readings(1));
    await until(again, () => drained(again), 'applied');
    expect(taken()).toEqual(['e1:1 1,2', 'e1:2 3']);
  });
});
