import {afterAll, afterEach, beforeAll, expect, test} from '@jest/globals';
import {spawn, type ChildProcess} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {setTimeout as sleep} from 'node:timers/promises';
import {type KubeObject} from './object.ts';
import {startApiServer, type TestApiServer} from './testing/api-server.ts';
import {eventually, forever} from './testing/fixtures.ts';
import {installShops, SHOP, shopPath} from './testing/shop.ts';

const PROGRAM = fileURLToPath(new URL('testing/shop-process.ts', import.meta.url));
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/default/leases/shop-operator';

let server: TestApiServer;
const processes: {readonly child: ChildProcess; readonly output: string[]}[] = [];

beforeAll(async () => {
  server = await startApiServer();
  await installShops(server.client);
}, 90_000);

afterEach(async () => {
  for (const {child} of processes.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
});

afterAll(async () => {
  await server.stop();
}, 30_000);

const start = async (name: string): Promise<{child: ChildProcess; output: string[]}> => {
  const {server: url, headers} = await server.credentials();
  const token = (headers['authorization'] ?? '').replace('Bearer ', '');
  const child = spawn(process.execPath, [PROGRAM, url, token, name], {stdio: ['ignore', 'pipe', 'pipe']});
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => output.push(String(chunk)));
  processes.push({child, output});
  return {child, output};
};

const get = async (path: string): Promise<KubeObject | undefined> => {
  try {
    return (await server.client.send({method: 'GET', path, signal: forever})).body as KubeObject;
  } catch {
    return undefined;
  }
};

const holderBecomes = (name: string, withinMs: number): Promise<true> => {
  let holder: string | undefined;
  return eventually(
    async () => {
      holder = ((await get(LEASE))?.['spec'] as {holderIdentity?: string} | undefined)?.holderIdentity;
      return holder === name ? true : undefined;
    },
    () =>
      `the holder is ${holder ?? 'nobody'}; ${processes.map(({output}) => output.slice(-5).join('')).join('\n---\n')}`,
    withinMs,
  );
};

const shelvesBecome = (count: number): Promise<true> => {
  let status: unknown;
  return eventually(
    async () => {
      status = (await get(shopPath('guarded')))?.['status'];
      return (status as {shelves?: number} | undefined)?.shelves === count ? true : undefined;
    },
    () => `status ${JSON.stringify(status)}; ${processes.map(({output}) => output.slice(-5).join('')).join('\n---\n')}`,
  );
};

const setShelves = (shelves: readonly string[]): Promise<unknown> =>
  server.client.send({
    method: 'PATCH',
    path: shopPath('guarded'),
    contentType: 'application/merge-patch+json',
    body: {spec: {shelves}},
    signal: forever,
  });

test('a leader that is stopped and continued writes nothing; the one that is killed is followed after the lease', async () => {
  const alpha = await start('alpha');
  await holderBecomes('alpha', 20_000);
  const beta = await start('beta');
  await server.client.send({
    method: 'POST',
    path: shopPath(),
    body: {...SHOP, metadata: {name: 'guarded'}, spec: {shelves: ['a']}},
    signal: forever,
  });
  await shelvesBecome(1);

  alpha.child.kill('SIGSTOP');
  const from = (await server.audit()).length;
  // Work that waits for alpha when it wakes up.
  await setShelves(['a', 'b']);
  await holderBecomes('beta', 40_000);
  await shelvesBecome(2);
  await setShelves(['b']);
  alpha.child.kill('SIGCONT');
  await shelvesBecome(1);
  await eventually(
    () => (alpha.output.join('').includes('no longer leading') ? true : undefined),
    () => alpha.output.slice(-10).join(''),
  );
  await sleep(1_000);
  const writes = (await server.audit())
    .slice(from)
    .filter(({verb, userAgent}) => userAgent === 'alpha' && ['create', 'update', 'patch', 'delete'].includes(verb))
    // Its attempt to renew is refused by the version and changes nothing.
    .filter(({responseStatus}) => responseStatus?.code !== 409)
    .map(({verb, requestURI}) => `${verb} ${requestURI}`);
  expect(writes).toEqual([]);

  beta.child.kill('SIGKILL');
  await holderBecomes('alpha', 40_000);
  await setShelves([]);
  await shelvesBecome(0);
}, 150_000);
