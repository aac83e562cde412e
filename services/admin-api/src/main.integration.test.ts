import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {until} from '@pisync/core/testing/until';
import {seedDevices} from './testing/seed.ts';
import {redisUrl} from './testing/test-redis.ts';
import {openTestBroker, type TestBroker} from './testing/test-broker.ts';

const MAIN = new URL('./main.ts', import.meta.url);
const TOKENS = {adminToken: 'first-admin', enrolmentToken: 'first-device'};

let region: TestShards;
let broker: TestBroker;
let folder: string;

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no TCP port was given');
  return address.port;
};

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
}, 60_000);

afterAll(async () => {
  await broker.close();
  await region.close();
  await rm(folder, {recursive: true});
}, 30_000);

const start = (
  env: Readonly<Record<string, string>>,
  argv: readonly string[],
): {readonly child: ChildProcess; readonly output: () => string} => {
  const script = `import(${JSON.stringify(MAIN.href)}).then(({main}) => main(${JSON.stringify(argv)}))`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    env: {PATH: process.env['PATH'], ...env},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const collect = (chunk: Buffer): void => {
    text += chunk.toString('utf8');
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  return {child, output: () => text};
};

test('the process becomes ready, serves page and API, and ends cleanly when asked to', async () => {
  const [httpPort, opsPort] = [await freePort(), await freePort()];
  const {child, output} = start(
    {
      PISYNC_TOPOLOGY_FILE: join(folder, 'topology.json'),
      PISYNC_SECRETS_DIR: region.secretsDir,
      PISYNC_DASHBOARD_DIR: join(folder, 'page'),
      PISYNC_HTTP_PORT: String(httpPort),
      PISYNC_OPS_PORT: String(opsPort),
      PISYNC_BROKER_PREFIX: broker.prefix,
      PISYNC_DRAIN_MS: '0',
    },
    [],
  );
  const exited = once(child, 'exit');
  try {
    await until(
      'admin-api to be ready',
      async () => {
        if (child.exitCode !== null) return `the process ended: ${output()}`;
        const answer = await fetch(`http://127.0.0.1:${opsPort}/readyz`).catch(() => undefined);
        return answer?.status === 200 ? 'ready' : `${(await answer?.text()) ?? 'no answer'} ${output()}`;
      },
      (seen) => seen === 'ready',
    );
    const base = `http://127.0.0.1:${httpPort}`;
    expect(await (await fetch(`${base}/devices/x`)).text()).toContain('PiSync');
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
    child.kill('SIGTERM');
  }
  // The event's arguments are the exit code, or null after a signal.
  const [code] = (await exited) as [number | null];
  expect({code, output: code === 0 ? '' : output()}).toEqual({code: 0, output: ''});
}, 60_000);

test('--help documents every variable, and a bad one is named', async () => {
  const help = start({}, ['--help']);
  await once(help.child, 'close');
  expect(help.output()).toMatch(/PISYNC_DASHBOARD_DIR \(default "\/app\/public"\)/);
  const bad = start({PISYNC_HTTP_PORT: 'eighty', PISYNC_POOL_SIZE: '0'}, []);
  // The event's arguments are the exit code, or null after a signal.
  const [code] = (await once(bad.child, 'close')) as [number | null];
  expect(code).toBe(2);
  expect(bad.output()).toMatch(/PISYNC_HTTP_PORT.*\n.*PISYNC_POOL_SIZE/);
}, 30_000);
