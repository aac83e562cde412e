import {randomBytes, randomUUID} from 'node:crypto';
import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import pg from 'pg';
import {cacheKey} from '@pisync/core/cache/cache-keys';
import {createDeviceKeys} from '@pisync/core/devices/device-keys';
import {enrol} from '@pisync/core/devices/enrolment';
import {tokenHash} from '@pisync/core/devices/tokens';
import {findDevice} from '@pisync/core/queries/devices';
import {until} from '@pisync/core/testing/until';
import {startTestDeviceApi, type TestDeviceApi} from '../testing/test-device-api.ts';
import {deviceIdOf} from './device-id.ts';

jest.setTimeout(60_000);

/** How far the clock of the API is ahead. */
let laterMs = 0;
const MADE_FOR = 1000;
/** Before a pod tells the others, see limits/shared-quota.ts. */
const GRANTED = Math.floor(MADE_FOR / 64);
let devices = MADE_FOR;

let api: TestDeviceApi;
beforeAll(async () => {
  api = await startTestDeviceApi({devices: () => devices, now: () => performance.now() + laterMs});
});
afterAll(() => api.stop());

/** As people see it. */
const seen = (hardwareId: string) => findDevice(api.databases.shards, deviceIdOf(hardwareId));

const heartbeat = async (auth: Readonly<Record<string, string>>, epoch: string): Promise<number> => {
  const body = JSON.stringify({epoch, batchSeq: 0, mode: 'heartbeat'});
  return (await api.call('POST', '/v1/sync', auth, body)).status;
};

test("a group's token does not take over a device of another group, which people are told of", async () => {
  const device = await api.enrol();
  expect(await seen(device.hardwareId)).toMatchObject({reEnrolments: 0, disputedUntil: null});
  const foreign = await api.makeToken(`group-${randomUUID()}`);
  expect(await api.enrol(device.hardwareId, foreign)).toMatchObject({status: 403, json: {code: 'forbidden'}});
  expect(await heartbeat(device.auth, 'e1')).toBe(200);
  expect(await seen(device.hardwareId)).toMatchObject({epoch: 1, reEnrolments: 0, disputedUntil: expect.any(Date)});
  // Whoever has its secret is the device.
  const body = JSON.stringify({hardwareId: device.hardwareId, secret: device.secret, enrolmentToken: foreign});
  expect((await api.call('POST', '/v1/enroll', {}, body)).json).toEqual(device.json);
});

test('an enrolment that is repeated waits for nobody who holds the row', async () => {
  const device = await api.enrol();
  const {shards} = api.databases;
  const deviceId = deviceIdOf(device.hardwareId);
  const client = await shards.pool(shards.slotMap.shardOf(shards.slotOf(deviceId)), 'job').connect();
  try {
    await client.query('begin');
    await client.query('select from device where device_id = $1 for update', [deviceId]);
    const body = JSON.stringify({
      hardwareId: device.hardwareId,
      secret: device.secret,
      enrolmentToken: await api.makeToken(`group-${randomUUID()}`),
    });
    expect(await api.call('POST', '/v1/enroll', {}, body)).toMatchObject({status: 200, json: device.json});
  } finally {
    await client.query('rollback');
    client.release();
  }
});

test('a secret that was replaced never enrols again: a call that comes late, or twice, takes nothing back', async () => {
  const device = await api.enrol();
  const {hardwareId} = device;
  const again = await api.enrol(hardwareId);
  const token = await api.makeToken(`group-${randomUUID()}`);
  const late = JSON.stringify({hardwareId, secret: device.secret, enrolmentToken: token});
  for (let time = 0; time < 2; time++) {
    expect(await api.call('POST', '/v1/enroll', {}, late)).toMatchObject({
      status: 403,
      json: {code: 'secret-replaced'},
    });
  }
  expect(await heartbeat(again.auth, 'e2')).toBe(200);
  expect(await heartbeat(device.auth, 'e1')).toBe(401);
  expect(await seen(hardwareId)).toMatchObject({epoch: 2, reEnrolments: 1});
  await api.enrol(hardwareId);
  for (const {secret} of [device, again]) {
    const body = JSON.stringify({hardwareId, secret, enrolmentToken: token});
    expect((await api.call('POST', '/v1/enroll', {}, body)).status).toBe(403);
  }
});

test('an enrolment that was committed and not answered is announced when the device repeats it', async () => {
  const device = await api.enrol();
  const {hardwareId} = device;
  expect(await heartbeat(device.auth, 'e1')).toBe(200);
  const {shards} = api.databases;
  const secret = randomBytes(32).toString('base64url');
  const deviceId = deviceIdOf(hardwareId);
  const {groupId} = (await seen(hardwareId)) ?? {};
  if (groupId === undefined) throw new Error('the device is enrolled');
  // What the shard has after a commit whose answer is lost.
  const request = {deviceId, hardwareId, secretHash: tokenHash(secret), groupId};
  expect(await enrol(shards, createDeviceKeys(shards), request)).toMatchObject({kind: 'replaced', epoch: 2});
  const again = await api.call(
    'POST',
    '/v1/enroll',
    {authorization: `Bearer ${api.token}`},
    JSON.stringify({hardwareId, secret}),
  );
  expect(again).toMatchObject({status: 200, json: {epoch: 'e2'}});
  expect(await heartbeat(device.auth, 'e1')).toBe(401);
  expect(await heartbeat({authorization: `Bearer ${String(again.json.credential)}`}, 'e2')).toBe(200);
});

test('a secret that was replaced writes nothing into the epoch that replaced it, where nobody was told of it', async () => {
  const {hardwareId, auth} = await api.enrol();
  expect(await heartbeat(auth, 'e1')).toBe(200);
  const {groupId} = (await seen(hardwareId)) ?? {};
  if (groupId === undefined) throw new Error('the device is enrolled');
  const {shards} = api.databases;
  const request = {deviceId: deviceIdOf(hardwareId), hardwareId, secretHash: tokenHash(randomUUID()), groupId};
  expect(await enrol(shards, createDeviceKeys(shards), request)).toMatchObject({kind: 'replaced', epoch: 2});
  await api.drain(0);
  const body = JSON.stringify({epoch: 'e2', batchSeq: 1, mode: 'delta', records: [{s: 1, k: 'n', d: 1}]});
  expect((await api.call('POST', '/v1/sync', auth, body)).status).toBe(401);
  expect(await api.drain(0)).toEqual([]);
});

test('new secrets of one device are counted, disputed when there are many, and then one an hour', async () => {
  const {hardwareId} = await api.enrol();
  const again = () => api.enrol(hardwareId);
  const statuses: number[] = [];
  for (let time = 0; time < 3; time++) statuses.push((await again()).status);
  expect(await seen(hardwareId)).toMatchObject({reEnrolments: 3, reEnrolledAt: expect.any(Date), disputedUntil: null});
  for (let time = 3; time < 9; time++) statuses.push((await again()).status);
  const last = await again();
  expect([...statuses, last.status]).toEqual(new Array(10).fill(200));
  const refused = await again();
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3_000);
  expect(await seen(hardwareId)).toMatchObject({epoch: 11, reEnrolments: 10, disputedUntil: expect.any(Date)});
  expect(await heartbeat(last.auth, 'e11')).toBe(200);
  const {shards} = api.databases;
  const deviceId = deviceIdOf(hardwareId);
  await shards
    .pool(shards.shardOfDevice(deviceId), 'job')
    .query(`update device set re_enrolments_paid_at = re_enrolments_paid_at - interval '1 h' where device_id = $1`, [
      deviceId,
    ]);
  expect([(await again()).status, (await again()).status]).toEqual([200, 429]);
});

test('a token lets in as many devices as it may, and those again that it has let in', async () => {
  const limited = await api.makeToken(`group-${randomUUID()}`, 3);
  const all = await Promise.all(Array.from({length: 8}, () => api.enrol(randomUUID(), limited)));
  const [letIn, refused] = [all.filter(({status}) => status === 200), all.filter(({status}) => status !== 200)];
  expect(letIn).toHaveLength(3);
  expect(refused.map(({status, json}) => [status, json.code])).toEqual(new Array(5).fill([403, 'forbidden']));
  for (const {hardwareId} of letIn) expect((await api.enrol(hardwareId, limited)).json).toMatchObject({epoch: 'e2'});
  expect((await api.enrol(randomUUID(), limited)).status).toBe(403);
  expect(await seen(refused[0]?.hardwareId ?? '')).toBeUndefined();
});

test.each([
  ['revoked', 'revoked_at = now()'],
  ['expired', `expires_at = now() - interval '1 ms'`],
])('a token that is %s lets nobody in after five seconds', async (_what, change) => {
  const token = await api.makeToken(`group-${randomUUID()}`);
  const device = await api.enrol(undefined, token);
  expect(device.status).toBe(200);
  const {shards} = api.databases;
  await shards
    .control('job')
    .query(`update control.enrolment_token set ${change} where token_hash = $1`, [tokenHash(token)]);
  laterMs += 5_000;
  expect(await api.enrol(undefined, token)).toMatchObject({status: 401, json: {code: 'unauthenticated'}});
  // The device that it let in stays.
  expect(await heartbeat(device.auth, 'e1')).toBe(200);
});

test('a token counts the devices that it has let in, each once, with a limit and without', async () => {
  const {shards} = api.databases;
  for (const limit of [undefined, 5]) {
    const token = await api.makeToken(`group-${randomUUID()}`, limit);
    const [first] = await Promise.all([api.enrol(undefined, token), api.enrol(undefined, token)]);
    expect((await api.enrol(first.hardwareId, token)).status).toBe(200);
    const {rows} = await shards
      .control('job')
      .query('select used from control.enrolment_token where token_hash = $1', [tokenHash(token)]);
    expect(rows).toEqual([{used: 2}]);
  }
});

test('a token makes as many devices in a day as the region is made for, at all pods together; those it has made may come again', async () => {
  const token = await api.makeToken(`group-${randomUUID()}`);
  const made = await api.enrol(undefined, token);
  expect(made.status).toBe(200);
  // As if other pods had let in the others.
  const key = cacheKey.newDevices(tokenHash(token).toString('hex'));
  await api.cache.use((redis) => redis.set(key, MADE_FOR, 'PX', 86_400_000));
  const refused = await until(
    'what this pod grants before it tells the others to be used',
    () => api.enrol(undefined, token),
    ({status}) => status !== 200,
  );
  expect(refused).toMatchObject({status: 429, json: {code: 'rate-limited'}});
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(600);
  expect(await seen(refused.hardwareId)).toBeUndefined();
  const body = JSON.stringify({hardwareId: made.hardwareId, secret: made.secret, enrolmentToken: token});
  expect((await api.call('POST', '/v1/enroll', {}, body)).json).toEqual(made.json);
  expect((await api.enrol(made.hardwareId, token)).status).toBe(200);
  expect((await api.enrol(undefined, await api.makeToken(`group-${randomUUID()}`))).status).toBe(200);
  // What was used stays used, also what this pod had let in beyond it. The others that the region is made for by now are let in at once.
  devices = MADE_FOR + GRANTED + 10;
  try {
    const statuses: number[] = [];
    for (let more = 0; more < 12; more++) statuses.push((await api.enrol(undefined, token)).status);
    expect(statuses).toEqual([...new Array<number>(10).fill(200), 429, 429]);
  } finally {
    devices = MADE_FOR;
  }
});

test('whoever comes with other secrets all the time soon costs its shard no transaction, and the device itself goes on', async () => {
  const device = await api.enrol();
  const foreign = await api.makeToken(`group-${randomUUID()}`);
  const begun = jest.spyOn(pg.Pool.prototype, 'connect');
  const answers: Awaited<ReturnType<TestDeviceApi['enrol']>>[] = [];
  let transactions = 0;
  try {
    for (let time = 0; time < 40; time++) answers.push(await api.enrol(device.hardwareId, foreign));
    // pool.query() uses it with a callback.
    transactions = begun.mock.calls.filter(([callback]: readonly unknown[]) => callback === undefined).length;
  } finally {
    begun.mockRestore();
  }
  expect(answers.map(({status}) => status)).toEqual([
    ...new Array<number>(20).fill(403),
    ...new Array<number>(20).fill(429),
  ]);
  expect(Number(answers.at(-1)?.headers.get('retry-after'))).toBeGreaterThan(1_000);
  expect(transactions).toBeLessThan(30);
  const body = JSON.stringify({hardwareId: device.hardwareId, secret: device.secret, enrolmentToken: api.token});
  expect((await api.call('POST', '/v1/enroll', {}, body)).json).toEqual(device.json);
  expect(await api.enrol(device.hardwareId)).toMatchObject({status: 200, json: {epoch: 'e2'}});
  expect((await api.enrol(undefined, foreign)).status).toBe(200);
});

test('a token brings so many devices anew in a day, at all pods together', async () => {
  const token = await api.makeToken(`group-${randomUUID()}`);
  const devices = await Promise.all(Array.from({length: 24}, () => api.enrol(undefined, token)));
  // As if other pods had let in the others. This one grants fewer than 24 before it tells them.
  const key = cacheKey.reEnrolments(tokenHash(token).toString('hex'));
  await api.cache.use((redis) => redis.set(key, MADE_FOR, 'PX', 86_400_000));
  const again = await Promise.all(devices.map(({hardwareId}) => api.enrol(hardwareId, token)));
  const refused = again.find(({status}) => status !== 200);
  expect(refused).toMatchObject({status: 429, json: {code: 'rate-limited'}});
  expect(await seen(refused?.hardwareId ?? '')).toMatchObject({epoch: 1});
});

test('a device whose rows were lost is made anew, and nothing that was remembered of it counts for the new one', async () => {
  const {hardwareId, auth} = await api.enrol();
  const body = JSON.stringify({epoch: 'e1', batchSeq: 1, mode: 'delta', records: [{s: 1, k: 'n', d: 1}]});
  expect((await api.call('POST', '/v1/sync', auth, body)).json).toMatchObject({accepted: 1, duplicate: false});
  const {shards} = api.databases;
  const deviceId = deviceIdOf(hardwareId);
  const lose = `with lost as (delete from device where device_id = $1 returning device_key),
                     state as (delete from device_state where device_key in (select device_key from lost))
                delete from device_status where device_key in (select device_key from lost)`;
  await shards.pool(shards.shardOfDevice(deviceId), 'job').query(lose, [deviceId]);
  const anew = await api.enrol(hardwareId);
  expect(anew.json).toMatchObject({epoch: 'e1'});
  expect((await api.call('POST', '/v1/sync', anew.auth, body)).json).toMatchObject({accepted: 1, duplicate: false});
  expect(new Set((await api.drain(2)).map(({meta}) => meta.deviceKey)).size).toBe(2);
});

test('who was shut out is told so, however often it asks', async () => {
  const {hardwareId} = await api.enrol();
  const deviceId = deviceIdOf(hardwareId);
  const {shards} = api.databases;
  const text = 'update device set revoked_at = now() where device_id = $1';
  await shards.pool(shards.shardOfDevice(deviceId), 'job').query(text, [deviceId]);
  for (let time = 0; time < 25; time++) expect((await api.enrol(hardwareId)).status).toBe(403);
});

test('a token pays for the devices that it made, and not for tries that failed', async () => {
  const token = await api.makeToken(`group-${randomUUID()}`, 1);
  expect((await api.enrol(undefined, token)).status).toBe(200);
  // Many more than this pod grants before it tells the others.
  for (let tries = 0; tries < 40; tries++) expect((await api.enrol(undefined, token)).status).toBe(403);
  const key = cacheKey.newDevices(tokenHash(token).toString('hex'));
  expect(await api.cache.use((redis) => redis.exists(key))).toBe(0);
});

test('where a token has room for one more device, one of those that come at the same moment is made', async () => {
  const token = await api.makeToken(`group-${randomUUID()}`);
  // What this pod grants before it tells the others.
  for (let made = 0; made < GRANTED; made++) expect((await api.enrol(undefined, token)).status).toBe(200);
  const key = cacheKey.newDevices(tokenHash(token).toString('hex'));
  const left = GRANTED + 1.1;
  await api.cache.use((redis) => redis.set(key, MADE_FOR, 'PX', Math.round((1 - left / MADE_FOR) * 86_400_000)));
  const all = await Promise.all(Array.from({length: 30}, () => api.enrol(undefined, token)));
  expect(all.map(({status}) => status).sort()).toEqual([200, ...new Array<number>(29).fill(429)]);
});

test('a token gets back at all pods what made no new device', async () => {
  const token = await api.makeToken(`group-${randomUUID()}`, 18);
  // The last but one has this pod tell the others of all so far.
  for (let made = 0; made < 17; made++) expect((await api.enrol(undefined, token)).status).toBe(200);
  const hardwareId = randomUUID();
  const one = await Promise.all(Array.from({length: 8}, () => api.enrol(hardwareId, token)));
  expect(new Set(one.map(({status}) => status))).toEqual(new Set([200]));
  for (let tries = 0; tries < 10; tries++) expect((await api.enrol(undefined, token)).status).toBe(403);
  const key = cacheKey.newDevices(tokenHash(token).toString('hex'));
  const ofOneMs = 86_400_000 / MADE_FOR;
  const usedMs = await api.cache.use((redis) => redis.pttl(key));
  expect(usedMs).toBeLessThanOrEqual(18 * ofOneMs);
  expect(usedMs).toBeGreaterThan((18 - GRANTED) * ofOneMs);
});

test.each(['0000000000000000', 'To be filled by O.E.M.', '03000200-0400-0500-0006-000700080009', 'ffff-ffff', ' '])(
  'a machine that calls itself %j is told to have a name of its own',
  async (hardwareId) => {
    expect(await api.enrol(hardwareId)).toMatchObject({status: 400, json: {errors: [{pointer: '/hardwareId'}]}});
  },
);

test.each(['10000000abcdef01', '0000000000000001', 'a', 'none-7', '生产线一号'])(
  'a machine that calls itself %j is let in',
  async (hardwareId) => {
    expect((await api.enrol(hardwareId)).status).toBe(200);
  },
);

test('hundreds who name devices that are not there cost a slow shard a few statements', async () => {
  const query: unknown = Reflect.get(pg.Pool.prototype, 'query');
  const {promise: isOver, resolve: end} = Promise.withResolvers<undefined>();
  const slowly = function (this: pg.Pool, ...given: readonly unknown[]): unknown {
    // It is pg's.
    return isOver.then((): unknown => Reflect.apply(query as () => unknown, this, given));
  };
  const asked = jest.spyOn(pg.Pool.prototype, 'query').mockImplementation(slowly);
  const looked = jest.spyOn(api.cache, 'use');
  try {
    const answers = Array.from({length: 300}, () =>
      heartbeat({authorization: `Bearer ps_${randomUUID()}.${randomBytes(32).toString('base64url')}`}, 'e1'),
    );
    await until('all of them to be looked for', () => looked.mock.calls.length >= 300);
    await Promise.all(looked.mock.results.map(({value}) => value));
    end(undefined);
    expect(await Promise.all(answers)).toEqual(new Array(300).fill(401));
    expect(asked.mock.calls.length).toBeLessThan(30);
  } finally {
    asked.mockRestore();
    looked.mockRestore();
  }
});

test('a shard that gives out no transaction ids is one that is away to whoever enrols', async () => {
  const {shards} = api.databases;
  const pools = shards.ids().map((shard) => shards.pool(shard, 'job'));
  for (const pool of pools) {
    await pool.query(
      `create function exhausted() returns trigger language plpgsql as
         $$ begin raise exception 'no transaction IDs' using errcode = '54000'; end $$;
       create trigger exhausted before insert on device execute function exhausted()`,
    );
  }
  try {
    const refused = await api.enrol();
    expect(refused).toMatchObject({status: 503, json: {code: 'shard-unavailable'}});
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  } finally {
    for (const pool of pools) await pool.query('drop function exhausted cascade');
  }
  expect((await api.enrol()).status).toBe(200);
});
