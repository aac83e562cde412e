import {once} from 'node:events';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {freePort, startProcess} from '@pisync/core/testing/service-process';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {seedDevices} from './testing/seed.ts';
import {redisUrl} from './testing/test-redis.ts';
import {openTestBroker, type TestBroker} from './testing/test-broker.ts';

const MAIN = new URL('./main.ts', import.meta.url);
const TOKENS = {adminToken: 'first-admin', enrolmentToken: 'first-device'};

let region: TestShards;
let broker: TestBroker;
let folder: string;

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  await seedDevices(region.shards, 3);
  broker = openTestBroker(2);
  folder = await mkdtemp(join(tmpdir(), 'pisync-admin-api-'));
  const redis = redisUrl();
  const {host, port, vhost, username, password} = broker.address;
  await writeFile(
    join(folder, 'topology.json'),
    JSON.stringify({
      ...region.topology,
      broker: {host, port, vhost, partitions: broker.partitions, replicas: 1},
      redis: {host: redis.hostname, port: Number(redis.port === '' ? '6379' : redis.port)},
    }),
  );
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
  await broker.close();
  await region.close();
  await rm(folder, {recursive: true});
}, 30_000);

test('the process becomes ready, serves page and API, and ends cleanly when asked to', async () => {
  const [httpPort, opsPort] = [await freePort(), await freePort()];
  const service = startProcess(MAIN, {
    PISYNC_TOPOLOGY_FILE: join(folder, 'topology.json'),
    PISYNC_SECRETS_DIR: region.secretsDir,
    PISYNC_DASHBOARD_DIR: join(folder, 'page'),
    PISYNC_HTTP_PORT: String(httpPort),
    PISYNC_OPS_PORT: String(opsPort),
    PISYNC_BROKER_PREFIX: broker.prefix,
    PISYNC_DRAIN_MS: '0',
  });
  let code: number | null = null;
  try {
    await service.ready(opsPort);
    const base = `http://127.0.0.1:${httpPort}`;
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
    expect(await list.json()).toMatchObject({data: [{}, {}, {}], hasNextPage: false});
    const metrics = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
    expect(metrics).toContain('pisync_pg_pool_connections');
  } finally {
    code = await service.stop();
  }
  expect({code, output: code === 0 ? '' : service.output()}).toEqual({code: 0, output: ''});
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
