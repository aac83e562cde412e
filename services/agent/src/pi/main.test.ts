/** The program itself, as a process of its own, against a region in memory. */
import {spawn} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {startFakeRegion, type FakeRegion} from '../testing/fake-region.ts';

let region: FakeRegion;
let folder: string;

beforeEach(async () => {
  region = await startFakeRegion();
  folder = mkdtempSync(join(tmpdir(), 'pisync-agent-'));
  writeFileSync(join(folder, 'token'), `${region.token}\n`);
});
afterEach(async () => {
  await region.close();
  rmSync(folder, {recursive: true});
});

const agent = (...more: string[]): Promise<{code: number | null; log: string}> =>
  new Promise((resolve) => {
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    const args = [
      '--url',
      region.url,
      '--enrolment-token-file',
      join(folder, 'token'),
      '--state-dir',
      join(folder, 'state'),
    ];
    const child = spawn('node', [main, ...args, '--hardware-id', 'test-pi', ...more], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    child.on('close', (code) => resolve({code, log}));
  });

test('measures this machine, syncs, and goes on with its numbers in the next run', async () => {
  for (const run of [1, 2]) {
    const {code, log} = await agent('--once', '--measurements', '2', '--interval', '0.05');
    expect({run, code, log: code === 0 ? '' : log}).toEqual({run, code: 0, log: ''});
  }
  const [device] = region.devices.values();
  expect([...(device?.batches.keys() ?? [])]).toEqual(['e1:1', 'e1:2']);
  const records = [...(device?.batches.values() ?? [])].flatMap((batch) => batch.records);
  expect(records.map(({s}) => s)).toEqual(records.map((_, index) => index + 1));
  expect(new Set(records.map(({k}) => k))).toEqual(
    new Set([
      'load',
      'memory',
      'uptime',
      'network',
      'disk',
      ...records.filter(({k}) => k === 'temperature').map(({k}) => k),
    ]),
  );
}, 30_000);

test('takes a new epoch when its spool is gone', async () => {
  await agent('--once');
  rmSync(join(folder, 'state', 'spool.log'));
  const {code} = await agent('--once');
  expect(code).toBe(0);
  const [device] = region.devices.values();
  expect([...(device?.batches.keys() ?? [])]).toEqual(['e1:1', 'e2:1']);
  expect(JSON.parse(readFileSync(join(folder, 'state', 'identity.json'), 'utf8'))).toMatchObject({epoch: 'e2'});
}, 30_000);

test('says what is wrong with its command line', async () => {
  expect(await agent('--interval', 'often')).toMatchObject({code: 2});
}, 30_000);
