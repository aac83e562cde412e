import {randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {findDevice} from '../queries/devices.ts';
import {createTestShards, type TestShards} from '../testing/test-shards.ts';
import {until} from '../testing/until.ts';
import {type ChangeOutcome, changeDevice, type ChangeRequest, type DeviceChange} from './change-device.ts';
import {createDeviceKeys} from './device-keys.ts';
import {enrol, type EnrolmentRequest} from './enrolment.ts';
import {touchLastSeen} from './last-seen.ts';

jest.setTimeout(60_000);

let bench: TestShards;
beforeAll(async () => {
  bench = await createTestShards({shards: 2});
});
afterAll(() => bench.close());

const [FIRST, SECOND] = [1, 2];
const ANN = {name: 'ann', tokenId: randomUUID(), role: 'admin', requestId: 'r', address: '::1'} as const;

const enrolled = async (over: Partial<EnrolmentRequest> = {}) => {
  const request: EnrolmentRequest = {
    deviceId: randomUUID(),
    hardwareId: randomUUID(),
    secretHash: Buffer.alloc(32, 1),
    groupId: FIRST,
    name: 'attic',
    tags: {site: 'oak', floor: '2'},
    ...over,
  };
  const outcome = await enrol(bench.shards, createDeviceKeys(bench.shards), request);
  if (outcome.kind === 'refused') throw new Error(`the device is refused: ${outcome.why}`);
  return {...request, ...outcome};
};

const change = (deviceId: string, what: DeviceChange, over: Partial<ChangeRequest> = {}): Promise<ChangeOutcome> =>
  changeDevice(bench.shards, {deviceId, change: what, scope: undefined, actor: ANN, groups: {nameOf: String}, ...over});

const deviceOf = async (deviceId: string) => {
  const found = await findDevice(bench.shards, deviceId);
  if (found === undefined) throw new Error(`there is no device ${deviceId}`);
  return found;
};

test('name, group and tags change together, each change is one revision, and what is not named stays', async () => {
  const {deviceId} = await enrolled();
  const all = {name: 'cellar', groupId: SECOND, tags: {site: null, 'floor plan': 'b', floor: '3'}};
  const changed = await change(deviceId, all, {revisions: [1]});
  const after = await deviceOf(deviceId);
  expect(changed).toEqual({kind: 'done', device: after});
  expect(after).toMatchObject({name: 'cellar', groupId: SECOND, tags: {'floor plan': 'b', floor: '3'}, revision: 2});
  expect(await change(deviceId, {name: null})).toMatchObject({kind: 'done', device: {name: null, revision: 3}});
  expect(await deviceOf(deviceId)).toMatchObject({groupId: SECOND, tags: {'floor plan': 'b', floor: '3'}});
});

test('the audit is told who changed what of a device, and from what, and nothing of a change that is made already', async () => {
  const {deviceId} = await enrolled();
  const changes: readonly DeviceChange[] = [
    {name: 'attic', groupId: SECOND, tags: {site: null, floor: '2', door: 'a'}},
    {standing: 'decommissioned'},
    {standing: 'decommissioned'},
    {standing: 'active'},
  ];
  for (const what of changes) await change(deviceId, what);
  await change(deviceId, {name: 'cellar'}, {revisions: [1]});
  const told = await bench.shards
    .pool(bench.shards.shardOfDevice(deviceId), 'job')
    .query(
      `select actor, action, group_ids as groups, before, after from audit_outbox where object_kind = 'device' and object_id = $1 order by counter`,
      [deviceId],
    );
  expect(told.rows).toEqual([
    {
      ...{actor: 'ann', action: 'device.change', groups: [FIRST, SECOND]},
      before: {group: '1', tags: {site: 'oak', door: null}},
      after: {group: '2', tags: {site: null, door: 'a'}},
    },
    {
      ...{actor: 'ann', action: 'device.decommission', groups: [SECOND]},
      before: {standing: 'active'},
      after: {standing: 'decommissioned'},
    },
    {
      ...{actor: 'ann', action: 'device.reinstate', groups: [SECOND]},
      before: {standing: 'decommissioned'},
      after: {standing: 'active'},
    },
  ]);
});

test('a change to another revision writes nothing and says what the device is', async () => {
  const {deviceId} = await enrolled();
  const before = await deviceOf(deviceId);
  expect(await change(deviceId, {name: 'x', groupId: SECOND}, {revisions: [2, 7]})).toEqual({
    kind: 'stale',
    device: before,
  });
  expect(await deviceOf(deviceId)).toEqual(before);
});

test('a change that was made already is done, whatever the revision, and is no other one', async () => {
  const {deviceId} = await enrolled();
  for (let time = 0; time < 2; time++) {
    const outcome = await change(deviceId, {name: 'x', tags: {site: 'oak'}}, {revisions: [1]});
    expect(outcome).toMatchObject({kind: 'done', device: {name: 'x', revision: 2}});
  }
});

test('of two changes to one revision at the same moment one is made', async () => {
  const {deviceId} = await enrolled();
  const outcomes = await Promise.all(
    Array.from({length: 8}, (_, index) => change(deviceId, {tags: {[`key ${index}`]: 'x'}}, {revisions: [1]})),
  );
  expect(outcomes.map(({kind}) => kind).sort()).toEqual(['done', ...new Array<string>(7).fill('stale')]);
  expect(Object.keys((await deviceOf(deviceId)).tags)).toHaveLength(3);
});

test('a device has no more than 32 tags', async () => {
  const {deviceId} = await enrolled();
  const many = (count: number) => Object.fromEntries(Array.from({length: count}, (_, index) => [`key ${index}`, 'x']));
  expect(await change(deviceId, {tags: many(31)})).toEqual({kind: 'too-many-tags'});
  expect(await change(deviceId, {tags: {...many(31), site: null}})).toMatchObject({kind: 'done'});
  expect(Object.keys((await deviceOf(deviceId)).tags)).toHaveLength(32);
});

test('a tag may have any name that JSON has', async () => {
  const {deviceId} = await enrolled({tags: {}});
  const tags = JSON.parse('{"__proto__": "a", "constructor": "b"}') as Record<string, string>;
  await change(deviceId, {tags});
  expect(Object.entries((await deviceOf(deviceId)).tags).sort()).toEqual(Object.entries(tags).sort());
});

test('who is shut out, out of service and let in again stays so however often that is said', async () => {
  const {deviceId, hardwareId} = await enrolled();
  const come = (secret: number) =>
    enrol(bench.shards, createDeviceKeys(bench.shards), {
      ...{deviceId, hardwareId, secretHash: Buffer.alloc(32, secret), groupId: FIRST},
    });
  const now = expect.any(Date) as unknown;
  const steps = [
    ['revoked', {revokedAt: now, decommissionedAt: null, revision: 2}],
    ['decommissioned', {revokedAt: now, decommissionedAt: now, revision: 3}],
    // It stays what it is.
    ['revoked', {revokedAt: now, decommissionedAt: now, revision: 3}],
  ] as const;
  for (const [standing, expected] of steps) {
    const first = await change(deviceId, {standing});
    expect(first).toMatchObject({kind: 'done', device: expected});
    expect(await change(deviceId, {standing})).toEqual(first);
    for (const secret of [1, 2]) expect(await come(secret)).toEqual({kind: 'refused', why: 'revoked'});
  }
  expect(await change(deviceId, {standing: 'active'})).toMatchObject({
    device: {revokedAt: null, decommissionedAt: null, revision: 4},
  });
  // With the secret that it had, in the epoch that it was in.
  expect(await come(1)).toMatchObject({kind: 'repeated', epoch: 1});
});

test('a device of a group outside of the scope is not there, and one that was moved away is not any more', async () => {
  const {deviceId} = await enrolled();
  const scoped = (scope: readonly number[]) => change(deviceId, {groupId: SECOND}, {scope});
  expect(await scoped([SECOND])).toEqual({kind: 'absent'});
  expect(await deviceOf(deviceId)).toMatchObject({groupId: FIRST, revision: 1});
  expect(await scoped([FIRST, SECOND])).toMatchObject({kind: 'done', device: {groupId: SECOND}});
  expect(await scoped([FIRST])).toEqual({kind: 'absent'});
  expect(await change(randomUUID(), {name: 'x'})).toEqual({kind: 'absent'});
});

test('a call that comes while a device is moved is not lost', async () => {
  const {deviceId, deviceKey, slot} = await enrolled();
  const pool = bench.shards.pool(bench.shards.shardOfDevice(deviceId), 'job');
  await pool.query(`update device_status set status = 'silent' where device_key = $1`, [deviceKey]);
  await pool.query(`update device_state set last_sync_at = now() - interval '9 days' where device_key = $1`, [
    deviceKey,
  ]);
  const call = () => touchLastSeen(bench.shards, [{deviceKey, slot, seenAtMs: Date.now()}]);
  const holder = await pool.connect();
  const state = {isMoved: false};
  try {
    await holder.query('begin');
    await holder.query('select from device_status where device_key = $1 for update', [deviceKey]);
    const moving = (async () => {
      // It waits for the holder for half a second each time.
      while (!state.isMoved)
        await change(deviceId, {groupId: SECOND}).then(
          () => (state.isMoved = true),
          () => undefined,
        );
    })();
    await until('a call that is kept for later', call, ({length}) => length === 1);
    await holder.query('rollback');
    await moving;
  } finally {
    state.isMoved = true;
    holder.release();
  }
  expect(await call()).toEqual([]);
  expect(await deviceOf(deviceId)).toMatchObject({groupId: SECOND, status: 'on_time'});
});
