import {once} from 'node:events';
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {freePort, startProcess} from '@pisync/core/testing/service-process';
import {type MuteProxy, openMuteProxy} from '@pisync/core/testing/mute-proxy';
import {encodeSlotMap} from '@pisync/core/shards/saved-slot-map';
import {until} from '@pisync/core/testing/until';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {seedDevices, type SeededDevice} from './testing/seed.ts';
import {redisUrl} from './testing/test-redis.ts';
import {openTestBroker, type TestBroker} from './testing/test-broker.ts';

const MAIN = new URL('./main.ts', import.meta.url);
/** Of a list, by default. */
const SHARD_TIMEOUT_MS = 2_500;
const TOKENS = {adminToken: 'first-admin', enrolmentToken: 'first-device'};

let region: TestShards;
let devices: readonly SeededDevice[];
let broker: TestBroker;
/** Stands before shard 0, for those who go through it. */
let proxy: MuteProxy;
let folder: string;

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  devices = await seedDevices(region.shards, 12);
  broker = openTestBroker(2);
  folder = await mkdtemp(join(tmpdir(), 'pisync-admin-api-'));
  const redis = redisUrl();
  const {host, port, vhost, username, password} = broker.address;
  const topology = {
    ...region.topology,
    broker: {host, port, vhost, partitions: broker.partitions, replicas: 1},
    redis: {host: redis.hostname, port: Number(redis.port === '' ? '6379' : redis.port)},
  };
  await writeFile(join(folder, 'topology.json'), JSON.stringify(topology));
  const target = region.target(0);
  proxy = await openMuteProxy(new URL(`postgres://${target.host}:${target.port}`));
  const shards = topology.shards.map((shard) =>
    shard.id === 0 ? {...shard, rw: {host: '127.0.0.1', port: proxy.port}} : shard,
  );
  await writeFile(join(folder, 'through-proxy.json'), JSON.stringify({...topology, shards}));
  const slotMap = region.shards.slotMap.known();
  if (slotMap !== undefined) await writeFile(join(folder, 'slot-map.json'), encodeSlotMap(slotMap));
  const secret = async (name: string, key: string, value: string): Promise<void> => {
    await mkdir(join(region.secretsDir, name), {recursive: true});
    await writeFile(join(region.secretsDir, name, key), value);
  };
  await secret('rabbitmq', 'username', username);
  await secret('rabbitmq', 'password', password);
  await secret('bootstrap', 'admin-token', TOKENS.adminToken);
  await secret('signing', 'key', Buffer.alloc(32, 9).toString('base64url'));
  await mkdir(join(folder, 'page'));
  await writeFile(join(folder, 'page', 'index.html'), '<!doctype html><title>PiSync</title>');
  await writeFile(join(folder, 'page', 'views.json'), '["/", "/devices/*"]');
}, 60_000);

afterAll(async () => {
  proxy.close();
  await broker.close();
  await region.close();
  await rm(folder, {recursive: true});
}, 30_000);

const start = async (topologyFile: string, more: Readonly<Record<string, string>> = {}) => {
  const [httpPort, opsPort] = [await freePort(), await freePort()];
  const service = startProcess(MAIN, {
    PISYNC_TOPOLOGY_FILE: join(folder, topologyFile),
    PISYNC_SLOT_MAP_FILE: join(folder, 'slot-map.json'),
    PISYNC_SECRETS_DIR: region.secretsDir,
    PISYNC_DASHBOARD_DIR: join(folder, 'page'),
    PISYNC_HTTP_PORT: String(httpPort),
    PISYNC_OPS_PORT: String(opsPort),
    PISYNC_BROKER_PREFIX: broker.prefix,
    PISYNC_DRAIN_MS: '0',
    ...more,
  });
  return {...service, opsPort, base: `http://127.0.0.1:${httpPort}`};
};

test('the process becomes ready, serves page and API, and ends cleanly when asked to', async () => {
  const service = await start('topology.json');
  const {base, opsPort} = service;
  let code: number | null = null;
  try {
    await service.ready(opsPort);
    expect(await (await fetch(`${base}/devices/x`)).text()).toContain('PiSync');
    const unknown = await fetch(`${base}/nope`);
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({code: 'not-found', status: 404});
    const signIn = await fetch(`${base}/api/v1/session`, {
      method: 'POST',
      headers: {'content-type': 'application/json'},
      body: JSON.stringify({token: TOKENS.adminToken}),
    });
    expect(await signIn.json()).toMatchObject({name: 'bootstrap', role: 'admin', region: 'test'});
    const cookie = signIn.headers.get('set-cookie')?.split(';')[0] ?? '';
    const list = await fetch(`${base}/api/v1/devices`, {headers: {cookie}});
    expect(await list.json()).toMatchObject({data: devices.map(() => ({})), hasNextPage: false});
    const metrics = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
    expect(metrics).toContain('pisync_pg_pool_connections');
  } finally {
    code = await service.stop();
  }
  expect({code, output: code === 0 ? '' : service.output()}).toEqual({code: 0, output: ''});
}, 60_000);

test('no token is written to the log, whoever makes, shows or mistypes it', async () => {
  const service = await start('topology.json', {PISYNC_LOG_LEVEL: 'trace'});
  const call = (path: string, token: string, method: string, body?: string) =>
    fetch(`${service.base}/api/v1${path}`, {
      method,
      headers: {authorization: `Bearer ${token}`, 'content-type': 'application/json'},
      ...(body === undefined ? {} : {body}),
    });
  const secrets: string[] = [TOKENS.adminToken];
  try {
    await service.ready(service.opsPort);
    for (const [path, body] of [
      ['/enrolment-tokens', {name: 'n', group: 'default'}],
      ['/api-tokens', {name: 'n', role: 'admin'}],
    ] as const) {
      const made = await call(path, TOKENS.adminToken, 'POST', JSON.stringify(body));
      const {token, data} = (await made.json()) as {readonly token: string; readonly data: {readonly id: string}};
      expect(data.id).toMatch(/^[0-9a-f-]{36}$/);
      secrets.push(token);
      await call(path, token, 'GET');
      await call('/session', token, 'POST', JSON.stringify({token}));
      await call('/session', token, 'POST', `{"token": "${token}`);
      await call(`/session?token=${token}`, token, 'GET');
      await call(`${path}/${data.id}`, TOKENS.adminToken, 'DELETE');
    }
  } finally {
    await service.stop();
  }
  const output = service.output();
  expect(output).toContain('listening');
  expect(secrets.filter((secret) => output.includes(secret))).toEqual([]);
}, 60_000);

test.each([
  {how: 'refuses connections', state: {mute: false, refuse: true}},
  {how: 'takes connections and never answers', state: {mute: true, refuse: false}},
])(
  'a process that starts while shard 0 $how shows the devices of the others to who has the token of the Secret',
  async ({state}) => {
    Object.assign(proxy.state, state);
    const service = await start('through-proxy.json');
    try {
      await service.ready(service.opsPort);
      const there = devices.filter(({shard}) => shard === 1).map(({id}) => id);
      const get = async (path: string) => {
        const began = performance.now();
        const answer = await fetch(`${service.base}${path}`, {headers: {authorization: `Bearer ${TOKENS.adminToken}`}});
        return {body: (await answer.json()) as {data: {id: string}[]}, ms: performance.now() - began};
      };
      const first = await get('/api/v1/devices');
      expect(first.body.data.map(({id}) => id).sort()).toEqual(there.toSorted());
      expect(first.body).toMatchObject({partial: ['shard-0']});
      // A list waits for the slowest shard, and for nothing else that shard 0 has.
      expect((await get('/api/v1/devices')).ms).toBeLessThan(SHARD_TIMEOUT_MS + 1_500);
      expect((await get(`/api/v1/devices/${there[0] ?? ''}`)).ms).toBeLessThan(1_500);
    } finally {
      proxy.state.mute = false;
      proxy.cut();
      await service.stop();
    }
  },
  60_000,
);

/** A wall clock that runs backwards. */
const BACKWARDS = 'const now = Date.now, began = now(); Date.now = () => 2 * began - now();';

test('a clock that is put back keeps no token and no name alive, and costs nobody calls', async () => {
  const nobody = await freePort();
  const topology = JSON.parse(await readFile(join(folder, 'topology.json'), 'utf8')) as object;
  await writeFile(
    join(folder, 'without-redis.json'),
    JSON.stringify({...topology, redis: {host: '127.0.0.1', port: nobody}}),
  );
  const service = await start('without-redis.json', {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(BACKWARDS)}`,
    // So many that one is refilled at once.
    PISYNC_API_CALLS_PER_MINUTE: '1000000',
  });
  const call = (path: string, token: string) =>
    fetch(`${service.base}${path}`, {headers: {authorization: `Bearer ${token}`}});
  const statusOf = async (token: string) => (await call('/api/v1/session', token)).status;
  const groupIn = async (): Promise<unknown> => {
    const answer = await call('/api/v1/devices?fields=group&limit=1', 'second-admin');
    const {data} = (await answer.json()) as {readonly data: readonly [{readonly group: unknown}]};
    return data[0].group;
  };
  const rename = (from: string, to: string) =>
    region.shards.control('job').query('update control.device_group set name = $2 where name = $1', [from, to]);
  try {
    await service.ready(service.opsPort);
    expect(await statusOf(TOKENS.adminToken)).toBe(200);
    await writeFile(join(region.secretsDir, 'bootstrap', 'admin-token'), 'second-admin');
    await until(
      'the token that was replaced to be refused',
      () => statusOf(TOKENS.adminToken),
      (status) => status === 401,
    );
    expect(await statusOf('second-admin')).toBe(200);
    const before = await groupIn();
    await rename(String(before), 'renamed');
    await until('the new name of a group', groupIn, (group) => group === 'renamed');
    await rename('renamed', String(before));
    expect((await call('/api/v1/session', 'second-admin')).headers.get('ratelimit-remaining')).toBe('999999');
  } finally {
    await writeFile(join(region.secretsDir, 'bootstrap', 'admin-token'), TOKENS.adminToken);
    await service.stop();
  }
}, 60_000);

test('--help documents every variable, and a bad one is named', async () => {
  const help = startProcess(MAIN, {}, ['--help']);
  await once(help.child, 'close');
  expect(help.output()).toMatch(/PISYNC_DASHBOARD_DIR \(default "\/app\/public"\)/);
  const bad = startProcess(MAIN, {PISYNC_HTTP_PORT: 'eighty', PISYNC_POOL_SIZE: '0'});
  // The event's arguments are the exit code, or null after a signal.
  const [code] = (await once(bad.child, 'close')) as [number | null];
  expect(code).toBe(2);
  expect(bad.output()).toMatch(/PISYNC_HTTP_PORT.*\n.*PISYNC_POOL_SIZE/);
}, 30_000);
