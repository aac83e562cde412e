import {randomBytes, randomUUID} from 'node:crypto';
import {afterAll, afterEach, beforeAll, expect, jest, test} from '@jest/globals';
import {pino} from 'pino';
import {cacheKey} from '@pisync/core/cache/cache-keys';
import {type MuteProxy, openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {until} from '@pisync/core/testing/until';
import {deviceIdOf} from './enrol/device-id.ts';
import {startTestDeviceApi, type TestDeviceApi} from './testing/test-device-api.ts';

jest.setTimeout(60_000);

/** The shard that leaves; shard 0 stays. */
const AWAY = 1;
/** Longer than a process remembers a credential. */
const FORGOTTEN_MS = 61_000;
/** What a device waits at most: a second for its credential, one for its position, and what a busy machine adds. */
const PROMISED_MS = 4_000;
/** Envoy's for an answer. */
const PROXY_PATIENCE_MS = 15_000;

let api: TestDeviceApi;
let proxy: MuteProxy;
let skewMs = 0;
const lines: string[] = [];

beforeAll(async () => {
  proxy = await openMuteProxy(new URL(process.env.PISYNC_TEST_POSTGRES_URL ?? ''));
  api = await startTestDeviceApi({
    shardPorts: new Map([[AWAY, proxy.port]]),
    now: () => performance.now() + skewMs,
    log: pino({level: 'warn'}, {write: (line) => lines.push(line)}),
  });
});
afterEach(async () => {
  proxy.state.refuse = false;
  proxy.state.mute = false;
  // What hung would go on to hang.
  proxy.cut();
  const made = await until(
    'the shard to be back',
    () => api.enrol(hardwareOn(AWAY)),
    ({status}) => status === 200,
  );
  const device = {...made, deviceId: deviceIdOf(made.hardwareId)};
  await until(
    'it to be asked again',
    async () => {
      await forgetPosition(device);
      return heartbeat(device.auth);
    },
    ({status}) => status === 200,
  );
  await api.drain(0);
});
afterAll(async () => {
  await api.stop();
  proxy.close();
});

const refuse = (): void => {
  proxy.state.refuse = true;
  proxy.cut();
};
const hang = (): void => {
  proxy.state.mute = true;
};

const hardwareOn = (shardId: number): string => {
  const {shards} = api.databases;
  for (;;) {
    const hardwareId = randomUUID();
    if (shards.shardOfDevice(deviceIdOf(hardwareId)) === shardId) return hardwareId;
  }
};
const enrolOn = async (shardId: number) => {
  const made = await api.enrol(hardwareOn(shardId));
  expect(made.status).toBe(200);
  return {...made, deviceId: deviceIdOf(made.hardwareId)};
};
type Device = Awaited<ReturnType<typeof enrolOn>>;

const sync = (auth: Device['auth'], batchSeq: number) => {
  const records = [{s: batchSeq, k: 'temperature', t: 1_760_000_000_000, d: {celsius: 4.5}}];
  return api.call('POST', '/v1/sync', auth, JSON.stringify({epoch: 'e1', batchSeq, mode: 'delta', records}));
};
const heartbeat = (auth: Device['auth']) =>
  api.call('POST', '/v1/sync', auth, JSON.stringify({epoch: 'e1', batchSeq: 0, mode: 'heartbeat'}));

const forgetPosition = ({deviceId}: Device) =>
  api.cache.use((redis) => redis.del(cacheKey.position(deviceId, 'applied'), cacheKey.position(deviceId, 'commands')));
/** As if the shard had been asked for it a day ago. */
const ageCredential = ({deviceId}: Device) =>
  api.cache.use((redis) => redis.expire(cacheKey.credential(deviceId), 24 * 3600));
const revoke = async ({deviceId}: Device): Promise<void> => {
  const text = 'update device set revoked_at = now() where device_id = $1';
  expect(await api.databases.shards.pool(AWAY, 'job').query(text, [deviceId])).toMatchObject({rowCount: 1});
};

test.each([
  {how: 'refuses connections', leave: refuse},
  {how: 'takes connections and never answers', leave: hang},
])(
  'while its shard $how a device that syncs once a day is taken, without a word on what is applied',
  async ({leave}) => {
    const [daily, new_, other] = [await enrolOn(AWAY), await enrolOn(AWAY), await enrolOn(0)];
    for (const {auth} of [daily, other]) expect((await sync(auth, 1)).status).toBe(200);
    await api.drain(2);
    await ageCredential(daily);
    for (const device of [daily, other]) await forgetPosition(device);
    skewMs += FORGOTTEN_MS;
    leave();

    for (const [device, batchSeq] of [
      [daily, 2],
      [new_, 1],
      [daily, 3],
    ] as const) {
      const began = performance.now();
      expect(await sync(device.auth, batchSeq)).toMatchObject({
        status: 200,
        json: {accepted: batchSeq, applied: 0, duplicate: false, commands: []},
      });
      expect(performance.now() - began).toBeLessThan(PROMISED_MS);
    }
    const began = performance.now();
    expect((await sync(other.auth, 2)).status).toBe(200);
    // It waited for nobody: to be given up on takes a second.
    expect(performance.now() - began).toBeLessThan(1_000);
    const taken = (await api.drain(4)).map(({meta}) => `${meta.deviceId} ${meta.batchSeq}`);
    expect(taken.sort()).toEqual(
      [`${daily.deviceId} 2`, `${daily.deviceId} 3`, `${new_.deviceId} 1`, `${other.deviceId} 2`].sort(),
    );
  },
);

test('while its shard is away a device that is far ahead of what a hint says is taken', async () => {
  const device = await enrolOn(AWAY);
  expect((await heartbeat(device.auth)).json).toMatchObject({applied: 0});
  expect((await sync(device.auth, 65)).status).toBe(409);
  refuse();
  expect(await sync(device.auth, 65)).toMatchObject({status: 200, json: {accepted: 65, applied: 0}});
  expect((await api.drain()).map(({meta}) => meta.batchSeq)).toEqual([65]);
});

test('while its shard is away a device is taken as far as it can be, and what its shard would never take is refused', async () => {
  const [old, new_] = [await enrolOn(AWAY), await enrolOn(AWAY)];
  const {rowCount} = await api.databases.shards
    .pool(AWAY, 'job')
    .query(
      'update device_state set epoch = 1, applied_through = 5000 where device_key = (select device_key from device where device_id = $1)',
      [old.deviceId],
    );
  expect(rowCount).toBe(1);
  expect((await heartbeat(old.auth)).json).toMatchObject({applied: 5000});
  await forgetPosition(old);
  refuse();
  for (const [{auth}, batchSeq] of [
    [old, 5001],
    [old, 6024],
    [new_, 1],
    [new_, 1024],
  ] as const) {
    expect(await sync(auth, batchSeq)).toMatchObject({status: 200, json: {accepted: batchSeq, applied: 0}});
  }
  for (const [{auth}, batchSeq] of [
    [old, 6025],
    [old, Number.MAX_SAFE_INTEGER],
    [new_, 1025],
  ] as const) {
    const refused = await sync(auth, batchSeq);
    expect(refused).toMatchObject({status: 503, json: {code: 'shard-unavailable'}});
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  expect(await api.drain(4)).toHaveLength(4);
});

test('while its shard is away a device hears what is applied if that is known, as after its enrolment, and otherwise to ask again', async () => {
  const device = await enrolOn(AWAY);
  refuse();
  expect(await heartbeat(device.auth)).toMatchObject({status: 200, json: {applied: 0}});
  await forgetPosition(device);
  const unknown = await heartbeat(device.auth);
  expect(unknown).toMatchObject({status: 503, json: {code: 'shard-unavailable'}});
  expect(Number(unknown.headers.get('retry-after'))).toBeGreaterThan(0);
});

test('while a shard is away nobody gets in whom the caches do not know', async () => {
  const device = await enrolOn(AWAY);
  expect((await sync(device.auth, 1)).status).toBe(200);
  await api.drain();
  const bearer = (deviceId: string) => ({
    authorization: `Bearer ps_${deviceId}.${randomBytes(32).toString('base64url')}`,
  });
  // Its lines of the minutes before are used up.
  skewMs += 60_000;
  lines.length = 0;
  refuse();
  // It may be a newer secret; that it is wrong nobody can say.
  for (const attempt of [1, 2])
    expect({attempt, ...(await sync(bearer(device.deviceId), 2))}).toMatchObject({status: 503});
  expect((await sync(bearer(deviceIdOf(hardwareOn(AWAY))), 1)).json).toMatchObject({code: 'shard-unavailable'});
  expect((await sync(bearer(deviceIdOf(hardwareOn(0))), 1)).status).toBe(401);
  expect((await api.enrol(hardwareOn(AWAY))).json).toMatchObject({status: 503, code: 'shard-unavailable'});
  expect(await api.drain(0)).toEqual([]);
  expect((await sync(device.auth, 2)).status).toBe(200);
  const told = lines.filter((line) => line.includes('a shard did not answer'));
  expect(told.length).toBeGreaterThan(0);
  expect(told.length).toBeLessThanOrEqual(10);
  expect(told[0]).toMatch(/"reason":"[^"]*(ECONNREFUSED|ECONNRESET|terminated)/);
});

test('while a shard hangs, who needs it is told when to come back before a proxy would give up', async () => {
  const device = await enrolOn(AWAY);
  expect((await sync(device.auth, 1)).status).toBe(200);
  await api.drain();
  await api.cache.use((redis) => redis.del(cacheKey.credential(device.deviceId)));
  skewMs += FORGOTTEN_MS;
  hang();
  const began = performance.now();
  for (const answer of await Promise.all([sync(device.auth, 2), api.enrol(hardwareOn(AWAY))])) {
    expect(answer).toMatchObject({status: 503, json: {code: 'shard-unavailable'}});
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  expect(performance.now() - began).toBeLessThan(PROXY_PATIENCE_MS);
});

test('while a shard is away the others hear of their devices, and afterwards it does too', async () => {
  const devices = [await enrolOn(AWAY), await enrolOn(0)] as const;
  for (const {auth} of devices) expect((await sync(auth, 1)).status).toBe(200);
  await api.drain(2);
  refuse();
  for (const {auth} of devices) expect((await heartbeat(auth)).status).toBe(200);
  const seen = async ({deviceId}: Device): Promise<boolean> => {
    const {shards} = api.databases;
    const text =
      'select 1 from device join device_state using (device_key, device_id) where device_id = $1 and last_seen_at is not null';
    return (await shards.pool(shards.shardOfDevice(deviceId), 'job').query(text, [deviceId])).rowCount === 1;
  };
  await until('the other shard to hear', () => seen(devices[1]));
  expect(await seen(devices[0])).toBe(false);
  proxy.state.refuse = false;
  await until('the shard to hear', () => seen(devices[0]));
});

test('while a shard hangs it delays nothing that the others hear of their devices', async () => {
  const [away, other] = [await enrolOn(AWAY), await enrolOn(0)];
  const pool = api.databases.shards.pool(0, 'job');
  const ofOther = 'device_key = (select device_key from device where device_id = $1)';
  const isSeen = async (): Promise<boolean> => {
    const text = `select from device_state where last_seen_at is not null and ${ofOther}`;
    return (await pool.query(text, [other.deviceId])).rowCount === 1;
  };
  hang();
  for (const {auth} of [away, other]) expect((await heartbeat(auth)).status).toBe(200);
  // The other one's is being written by then, and hangs.
  await until('it to be seen', isSeen);
  await pool.query(`update device_state set last_seen_at = null where ${ofOther}`, [other.deviceId]);
  const began = performance.now();
  expect((await heartbeat(other.auth)).status).toBe(200);
  await until('it to be seen again', isSeen);
  // To be given up on takes more than five.
  expect(performance.now() - began).toBeLessThan(4_000);
});

test('connections to a shard that are lost under calls cost none of them', async () => {
  // At once, so that there is a connection for each.
  const [device] = await Promise.all([enrolOn(AWAY), enrolOn(AWAY), enrolOn(AWAY), enrolOn(AWAY)]);
  expect((await sync(device.auth, 1)).status).toBe(200);
  await forgetPosition(device);
  await api.cache.use((redis) => redis.del(cacheKey.credential(device.deviceId)));
  skewMs += FORGOTTEN_MS;
  const direct = api.databases.shards.pool(AWAY, 'job');
  const began = await direct.query<{at: string}>('select clock_timestamp()::text as at');
  const asked = async (): Promise<number> => {
    const text = `select from pg_stat_activity where datname = current_database() and query like '%slot_owner%'
                  and application_name = 'test-device-api/ingest' and query_start > $1`;
    return (await direct.query(text, [began.rows[0]?.at])).rowCount ?? 0;
  };
  hang();
  const calls = [heartbeat(device.auth), api.enrol(hardwareOn(AWAY))];
  await until('both to be with the shard', asked, (count) => count >= 2);
  proxy.state.mute = false;
  proxy.cut();
  expect((await Promise.all(calls)).map(({status}) => status)).toEqual([200, 200]);
});

test('while its shard is away a revoked device stays out', async () => {
  const [met, enrolled] = [await enrolOn(AWAY), await enrolOn(AWAY)];
  for (const device of [met, enrolled]) {
    expect((await sync(device.auth, 1)).status).toBe(200);
    await revoke(device);
  }
  await api.drain(2);
  // One calls again when it is no longer known by heart, the other asks to be enrolled.
  await ageCredential(met);
  skewMs += FORGOTTEN_MS;
  expect((await sync(met.auth, 2)).status).toBe(403);
  const body = JSON.stringify({
    hardwareId: enrolled.hardwareId,
    secret: enrolled.secret,
    enrolmentToken: api.token,
  });
  expect((await api.call('POST', '/v1/enroll', {}, body)).status).toBe(403);
  refuse();
  skewMs += FORGOTTEN_MS;
  await ageCredential(met);
  expect((await sync(met.auth, 2)).json).toMatchObject({status: 403, code: 'forbidden'});
  expect((await sync(enrolled.auth, 2)).json).toMatchObject({status: 503, code: 'shard-unavailable'});
  expect(await api.drain(0)).toEqual([]);
});

test('a revoked device stays out although its shard, which answers others, has no connection free', async () => {
  const device = await enrolOn(AWAY);
  expect((await sync(device.auth, 1)).status).toBe(200);
  await revoke(device);
  await ageCredential(device);
  skewMs += FORGOTTEN_MS;
  const pool = api.shards.pool(AWAY, 'ingest');
  let isOver = false;
  // Eight at a time, so whoever comes last waits for some seconds.
  const others = Array.from({length: 400}, async () => {
    while (!isOver) await pool.query('select pg_sleep(0.1)').catch(() => undefined);
  });
  try {
    await until('all connections to be taken', () => pool.waitingCount > 300);
    // It is asked for the device now, in vain.
    expect((await sync(device.auth, 2)).status).toBe(200);
    skewMs += FORGOTTEN_MS;
    expect([403, 503]).toContain((await sync(device.auth, 3)).status);
  } finally {
    isOver = true;
    await Promise.all(others);
  }
  await until(
    'the shard to say so',
    () => sync(device.auth, 3),
    ({status}) => status === 403,
  );
  await api.drain(2);
});
