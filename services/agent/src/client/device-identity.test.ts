import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {drained, openDeviceBench, readings, type DeviceBench} from '../testing/device-bench.ts';
import {isBatch, type FakeRegion} from '../testing/fake-region.ts';
import type {Device} from './device.ts';
import type {Identity} from './identity.ts';
import {Outbox} from './outbox.ts';

let bench: DeviceBench;
let region: FakeRegion;
const makeDevice = (identity?: Identity, outbox?: Outbox): Promise<Device> => bench.makeDevice(identity, outbox);
const until = (device: Device, done: () => boolean, what: string): Promise<void> => bench.until(device, done, what);

beforeEach(async () => {
  bench = await openDeviceBench();
  ({region} = bench);
});
afterEach(() => bench.close());

describe('a device that is enrolled', () => {
  const enrolled = async (): Promise<Device> => {
    const device = await makeDevice();
    await device.record(readings(1));
    await until(device, () => drained(device), 'applied');
    return device;
  };
  const send = async (device: Device): Promise<void> => {
    await device.record(readings(1));
    device.wakeUp('scheduled');
  };

  test('and misrouted to another region keeps its credential, and goes on at home', async () => {
    const device = await enrolled();
    const before = {identity: device.identity, saved: bench.saved.length};
    let calls = 0;
    region.trouble = (path, body) =>
      isBatch(path, body) && calls++ < 3 ? {kind: 'status', status: 401, body: {region: 'another'}} : undefined;
    await send(device);
    await until(device, () => calls === 3, 'three refusals');
    expect(device.session).toMatchObject({phase: 'sync', newSecretWanted: false, failures: 3});
    await until(device, () => device.outbox.applied === 2, 'applied');
    expect({identity: device.identity, saved: bench.saved.length}).toEqual(before);
    expect(region.seen.filter(({path}) => path === '/v1/enroll')).toHaveLength(1);
  });

  test('keeps its credential until the first success under a new one', async () => {
    const device = await enrolled();
    const {current} = device.identity;
    region.extra = (body) => (body.epoch === 'e1' ? {commands: [{id: 'c1', type: 'epoch.new'}]} : {});
    let calls = 0;
    region.trouble = (path, body) =>
      path === '/v1/sync' && body.epoch === 'e2' && calls++ < 3 ? {kind: 'status', status: 503} : undefined;
    await send(device);
    await until(device, () => calls === 3, 'three failures under the new credential');
    expect(bench.saved.at(-1)).toMatchObject({current, pending: {secret: 'secret-1', epoch: 'e2'}});
    await until(device, () => device.outbox.epoch === 'e2', 'the new epoch');
    expect(bench.saved.at(-1)).toEqual({hardwareId: 'pi-1', current: expect.objectContaining({secret: 'secret-1'})});
    // Whatever was saved had its secret before that was shown to anybody.
    expect(bench.saved.findIndex(({pending}) => pending?.secret === 'secret-1')).toBeLessThan(bench.saved.length - 2);
  });

  test('goes on with a new credential that the disk had no room for when it was confirmed', async () => {
    const device = await enrolled();
    region.extra = (body) => (body.epoch === 'e1' ? {commands: [{id: 'c1', type: 'epoch.new'}]} : {});
    bench.refuses = ({pending}) => pending === undefined;
    await send(device);
    await expect(until(device, () => false, 'a full disk')).rejects.toThrow('the disk is full');
    expect(device.identity).toEqual({hardwareId: 'pi-1', current: expect.objectContaining({epoch: 'e2'})});
  });

  test('and whose secret was replaced, as by a copy of its card, enrols with another one', async () => {
    const device = await makeDevice();
    await until(device, () => device.identity.current !== undefined, 'enrolled');
    await device.record(readings(1));
    const taken = region.devices.values().next().value;
    if (taken === undefined) throw new Error('no device');
    taken.replaced.add(taken.secret);
    taken.secret = 'of a copy';
    await until(device, () => taken.batches.has('e2:1'), 'taken');
    expect(device.identity).toEqual({
      hardwareId: 'pi-1',
      current: expect.objectContaining({secret: 'secret-1', epoch: 'e2'}),
    });
    expect(region.seen.filter(({path}) => path === '/v1/enroll')).toHaveLength(3);
  });

  test('goes on with what it has when its enrolment token has ended', async () => {
    const device = await enrolled();
    region.token = 'another';
    region.extra = () => ({commands: [{id: 'c1', type: 'epoch.new'}]});
    for (const enrolments of [2, 3]) {
      await send(device);
      const asked = (): number => region.seen.filter(({path}) => path === '/v1/enroll').length;
      await until(device, () => asked() === enrolments, 'an enrolment that is refused');
      expect(device.outbox.applied).toBe(enrolments);
    }
    expect(device.identity.current).toMatchObject({secret: 'first-secret', epoch: 'e1'});
  });

  test('does a command once, and says so with its next batch', async () => {
    let answers = 0;
    region.extra = () => (answers++ === 0 ? {} : {commands: [{id: 'c1', type: 'sync.full'}]});
    const device = await enrolled();
    await until(device, () => device.outbox.applied >= 2, 'the answer to the command');
    await send(device);
    await until(device, () => device.outbox.applied >= 3, 'a batch more');
    const outbox = new Outbox();
    for (const entry of bench.journal) outbox.apply(structuredClone(entry));
    const again = await makeDevice(bench.saved.at(-1), outbox);
    await send(again);
    await until(again, () => again.outbox.applied >= 4, 'a batch after a start');
    const batches = region.seen.filter(({path, body}) => isBatch(path, body));
    expect(batches.map(({body}) => [body.mode, body.pull])).toEqual([
      ['delta', {}],
      ['full', {cmdAcks: ['c1']}],
      ['delta', {cmdAcks: ['c1']}],
      ['delta', {cmdAcks: ['c1']}],
    ]);
  });

  test.each([
    ['https://home.example.com', 'https://home.example.com'],
    ['https://evil.example.com', undefined],
    ['http://home.example.com', undefined],
  ])('that is sent to %s goes to %s, and with its enrolment token nowhere', async (home, followed) => {
    const device = await bench.makeDevice(undefined, undefined, {homeHosts: ['home.example.com']});
    await send(device);
    await until(device, () => drained(device), 'applied');
    const answers = [
      {kind: 'status', status: 421, body: {home}},
      {kind: 'status', status: 401},
    ] as const;
    let calls = 0;
    region.trouble = (path, body) => (isBatch(path, body) ? answers[calls++] : undefined);
    bench.calls.length = 0;
    await send(device);
    await until(device, () => drained(device) && bench.calls.length > 3, 'applied after a new enrolment');
    const ours = region.url;
    expect(bench.calls.slice(0, 3)).toEqual([
      {baseUrl: ours, path: '/v1/sync'},
      {baseUrl: followed ?? ours, path: '/v1/sync'},
      {baseUrl: ours, path: '/v1/enroll'},
    ]);
  });
});

test('a device that shall start spread says nothing before its share of the jitter is over', async () => {
  const device = await bench.makeDevice(undefined, undefined, {isStartSpread: true, backoffScale: 1});
  device.wakeUp('forced');
  // Half of the 120 s of the policy.
  expect((await device.step()) - performance.now()).toBeGreaterThan(50_000);
  expect(region.seen).toEqual([]);
});
