/** The program itself, as a process of its own, against a region in memory. */
import type {ChildProcess} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {gunzipSync} from 'node:zlib';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {startAgent, type Ended} from '../testing/agent-process.ts';
import {startFakeRegion, type FakeRegion} from '../testing/fake-region.ts';
import {startMiddlebox, type Deed, type Passing} from '../testing/middlebox.ts';
import {takeSocketFile} from './state-folder.ts';

const PAGE_413 = {status: 413, headers: {'content-type': 'text/html'}, body: Buffer.from('<html>too large</html>')};
const inflated = (body: Buffer): Buffer => (body[0] === 0x1f ? gunzipSync(body) : body);
const asking =
  (change: (call: Passing) => Passing): Deed =>
  async ({call, forward, answer}) =>
    answer(await forward(change(call)));

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

/** Of each agent that is started: its disk is full while there is a file at this path. See testing/full-disk.ts. */
const fullDisk = (): string => join(folder, 'full');

const start = (
  more: readonly string[],
  heard?: (log: string, child: ChildProcess) => void,
  started?: (child: ChildProcess) => void,
): Promise<Ended> => startAgent({url: region.url, folder, disk: fullDisk()}, more, heard, started);

const agent = (...more: string[]): Promise<Ended> => start(more);

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
  expect(JSON.parse(readFileSync(join(folder, 'state', 'identity.json'), 'utf8'))).toMatchObject({
    current: {epoch: 'e2'},
  });
}, 30_000);

test.each([
  [['--interval', 'often']],
  [['--max-queued', '1000001']],
  [['--timeout', '100000']],
  [['--url', 'localhost:8080']],
  [['--url', 'https://eu.sync.example.com/v1']],
  [['--url', 'https://me:secret@eu.sync.example.com']],
  [['--name', 'x'.repeat(129)]],
])(
  'says what is wrong with its command line: %j',
  async (wrong) => {
    const {code, log} = await agent(...wrong);
    expect({code, log}).toEqual({code: 2, log: expect.stringContaining(wrong[0] ?? '')});
  },
  30_000,
);

test('leaves a state folder to the agent that has it, until that one ends', async () => {
  let second: Promise<Ended> | undefined;
  const first = await start(['--backoff-scale', '0.001'], (log, child) => {
    if (!log.includes('accepted') || second !== undefined) return;
    second = agent('--once');
    void second.then(() => child.kill('SIGKILL'));
  });
  expect(first.code).toBeNull();
  expect(await second).toMatchObject({code: 1, log: expect.stringContaining('another agent runs')});
  expect(await agent('--once')).toMatchObject({code: 0});
}, 30_000);

test('leaves a state folder to an agent in another network namespace, of which it sees only the socket file', async () => {
  mkdirSync(join(folder, 'state'));
  expect(await takeSocketFile(join(folder, 'state'))).toBe(true);
  expect(await agent('--once')).toMatchObject({code: 1, log: expect.stringContaining('another agent runs')});
}, 30_000);

test('ends at once when it is told to, also while it waits for an answer', async () => {
  const held = new Promise<void>((resolve) => {
    region.trouble = () => {
      resolve();
      return {kind: 'silence'};
    };
  });
  const startedMs = performance.now();
  const {code, log} = await start(['--once'], undefined, (child) => void held.then(() => child.kill('SIGTERM')));
  expect({code, log}).toEqual({code: 1, log: expect.stringContaining('not everything is applied: stopped')});
  expect(performance.now() - startedMs).toBeLessThan(15_000);
  region.trouble = () => undefined;
  expect(await agent('--once')).toMatchObject({code: 0});
}, 30_000);

test('needs the enrolment token only until it is enrolled', async () => {
  const token = join(folder, 'token');
  for (const wrong of ['', 'one two\n']) {
    writeFileSync(token, wrong);
    expect(await agent('--once')).toMatchObject({code: 1, log: expect.stringContaining(token)});
  }
  rmSync(token);
  expect(await agent('--once')).toMatchObject({
    code: 1,
    log: expect.stringContaining('cannot read the enrolment token'),
  });
  writeFileSync(token, `${region.token}\r\n`);
  expect(await agent('--once')).toMatchObject({code: 0});
  rmSync(token);
  expect(await agent('--once')).toMatchObject({code: 0});
}, 30_000);

test('says what is wrong with its state folder', async () => {
  writeFileSync(join(folder, 'state'), 'a file');
  const {code, log} = await agent('--once');
  expect({code, log}).toEqual({code: 1, log: expect.stringContaining(`${join(folder, 'state')}: it must be a folder`)});
}, 30_000);

test('names its state folder, and what to do, where that can only be read', async () => {
  expect(await agent('--once')).toMatchObject({code: 0});
  writeFileSync(fullDisk(), 'EROFS');
  const {code, log} = await agent('--once');
  const said = `cannot use the state folder ${join(folder, 'state')}: its file system cannot be written`;
  expect({code, log}).toEqual({code: 1, log: expect.stringContaining(said)});
  expect(log).not.toContain('/proc/');
}, 30_000);

test('keeps what the region refuses for good in a file, says so, and does not end with 0', async () => {
  region.trouble = (path, body) =>
    path === '/v1/sync' && Array.isArray(body.records) && body.records.length > 0
      ? {kind: 'status', status: 400}
      : undefined;
  const {code, log} = await agent('--once', '--backoff-scale', '0.001');
  const kept = readFileSync(join(folder, 'state', 'refused.ndjson'), 'utf8')
    .trimEnd()
    .split('\n');
  expect(kept.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    {epoch: 'e1', batchSeq: 1, reason: expect.stringContaining('400')},
  ]);
  expect({code, log}).toEqual({
    code: 1,
    log: expect.stringMatching(/GIVEN UP.*refused\.ndjson[^]*readings were given up/),
  });
  region.trouble = () => undefined;
  expect(await agent('--once')).toMatchObject({code: 0});
}, 30_000);

test.each<[string, Deed, number]>([
  [
    'deletes Content-Encoding',
    asking(({headers: {'content-encoding': _, ...headers}, ...call}) => ({...call, headers})),
    0,
  ],
  ['inflates what it leaves called gzip', asking((call) => ({...call, body: inflated(call.body)})), 0],
  [
    'answers a bare 413',
    ({answer}) => {
      answer(PAGE_413);
      return Promise.resolve();
    },
    1,
  ],
])(
  'gives nothing up behind a proxy that %s',
  async (_what, deed, code) => {
    const box = await startMiddlebox(region.url, deed);
    box.isRude = (_call, path) => path.startsWith('/v1/sync');
    try {
      const hurried = ['--backoff-scale', '0.001', '--timeout', '0.3', '--measurements', '10', '--interval', '0.01'];
      const first = await agent('--once', ...hurried, '--url', box.url);
      expect({code: first.code, log: first.log}).toEqual({code, log: expect.not.stringContaining('GIVEN UP')});
      expect(await agent('--once')).toMatchObject({code: 0});
      const records = [...region.devices.values()].flatMap(({batches}) =>
        [...batches.values()].flatMap((b) => b.records),
      );
      expect(records.filter(({k}) => k === 'uptime')).toHaveLength(11);
    } finally {
      await box.close();
    }
  },
  30_000,
);

test('does not give the identity of one device to another', async () => {
  await agent('--once');
  const {code, log} = await agent('--once', '--hardware-id', 'other-pi');
  expect({code, log}).toEqual({code: 1, log: expect.stringContaining('that of hardware id test-pi')});
  expect(region.devices.size).toBe(1);
}, 30_000);

test('takes another hardware id as long as no region has taken the first', async () => {
  region.trouble = (path, {hardwareId}) =>
    path === '/v1/enroll' && hardwareId === 'placeholder' ? {kind: 'status', status: 400} : undefined;
  const hurried = ['--once', '--backoff-scale', '0.001', '--timeout', '0.1'];
  expect(await agent(...hurried, '--hardware-id', 'placeholder')).toMatchObject({code: 1});
  expect(await agent('--once', '--hardware-id', 'its-own')).toMatchObject({code: 0});
  expect(await agent('--once', '--hardware-id', 'other-pi')).toMatchObject({code: 1});
}, 30_000);

test.each(['damaged', 'missing'])(
  'keeps its credential and its readings where its spool is %s and its token has ended, and sends them with another token',
  async (spool) => {
    expect(await agent('--once')).toMatchObject({code: 0});
    const path = join(folder, 'state', 'spool.log');
    if (spool === 'damaged') writeFileSync(path, `dirt\n${readFileSync(path, 'utf8')}`);
    else rmSync(path);
    const {token} = region;
    region.token = 'the next one';
    const hurried = ['--once', '--backoff-scale', '0.001', '--timeout', '0.1'];
    for (let start = 0; start < 2; start++) expect(await agent(...hurried)).toMatchObject({code: 1});
    const identity = JSON.parse(readFileSync(join(folder, 'state', 'identity.json'), 'utf8')) as unknown;
    expect(identity).toMatchObject({current: {epoch: 'e1'}});
    expect([...region.devices.values()].map(({ordinal, conflicts}) => ({ordinal, conflicts}))).toEqual([
      {ordinal: 1, conflicts: []},
    ]);
    region.token = token;
    expect(await agent('--once')).toMatchObject({code: 0});
    const [device] = region.devices.values();
    const uptimes = [...(device?.batches ?? [])]
      .filter(([name]) => name.startsWith('e2'))
      .flatMap(([, {records}]) => records.filter(({k}) => k === 'uptime'));
    // What the damaged journal has of the first is known as delivered.
    expect(uptimes).toHaveLength(3);
  },
  30_000,
);

test('says how many lines of a damaged spool are lost, and does not end with 0', async () => {
  expect(await agent('--once')).toMatchObject({code: 0});
  const path = join(folder, 'state', 'spool.log');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"op":"start"', '"op":"stArt"'));
  expect(await agent('--once')).toMatchObject({
    code: 1,
    log: expect.stringMatching(
      /DAMAGED: 1 lines [^]*spool\.log\.corrupt[^]*1 lines of the spool were lost; the others/,
    ),
  });
  expect(await agent('--once')).toMatchObject({code: 0});
}, 30_000);

const epochOf = (): unknown =>
  (JSON.parse(readFileSync(join(folder, 'state', 'identity.json'), 'utf8')) as {current: {epoch: unknown}}).current
    .epoch;
const namesOf = (): string[] => [...region.devices.values()].flatMap(({batches}) => [...batches.keys()]);
const RUNNING = ['--backoff-scale', '0.001', '--interval', '0.05', '--sync-every', '0.1'];

test('goes on when nobody reads its log any more', async () => {
  let isGone = false;
  const {code} = await start(RUNNING, undefined, (child) => {
    region.extra = () => {
      const batches = namesOf().length;
      if (batches >= 1 && !isGone) {
        isGone = true;
        child.stderr?.destroy();
      } else if (batches >= 10) child.kill('SIGTERM');
      return {};
    };
  });
  expect({code, isGone}).toEqual({code: 0, isGone: true});
}, 30_000);

test('begins a new epoch with the last of a full disk, and does not end with 0 where readings had no room', async () => {
  region.extra = ({epoch}) => {
    if (epoch !== 'e1') return {};
    writeFileSync(fullDisk(), join(folder, 'state'));
    return {commands: [{id: 'c1', type: 'epoch.new'}]};
  };
  expect(await agent('--once', '--backoff-scale', '0.001')).toMatchObject({code: 0});
  expect([epochOf(), namesOf()]).toEqual(['e2', ['e2:1']]);
  expect(await agent('--once', '--backoff-scale', '0.001')).toMatchObject({
    code: 1,
    log: expect.stringMatching(/the disk is full[^]*readings were given up; the others are applied/),
  });
}, 30_000);

test.each([
  ['is full to the last byte', '', /to the last byte[^]*takes what is written again/],
  ['fails', 'EIO', /THE CARD FAILS[^]*takes what is written again/],
])(
  'waits where the disk %s, and begins the new epoch when it takes what is written',
  async (_how, error, said) => {
    let asked = false;
    const {code, log} = await start(
      RUNNING,
      (soFar) => {
        if (!said.test(`${soFar} takes what is written again`) || !soFar.includes('NOT STORED')) return;
        rmSync(fullDisk(), {force: true});
      },
      (child) => {
        region.extra = ({epoch}) => {
          if (epoch === 'e2' && namesOf().includes('e2:2')) child.kill('SIGTERM');
          if (epoch !== 'e1' || !namesOf().includes('e1:3')) return {};
          if (!asked) writeFileSync(fullDisk(), error);
          asked = true;
          return {commands: [{id: 'c1', type: 'epoch.new'}]};
        };
      },
    );
    expect({code, log}).toEqual({code: 0, log: expect.stringMatching(said)});
    expect(log).toMatch(/readings are stored again/);
    expect(await agent('--once')).toMatchObject({code: 0});
    expect(epochOf()).toBe('e2');
    const [device] = region.devices.values();
    const times = [...(device?.batches.values() ?? [])]
      .flatMap(({records}) => records)
      .flatMap(({k, t}) => (k === 'uptime' ? [t] : []));
    expect({conflicts: device?.conflicts, doubled: times.length - new Set(times).size}).toEqual({
      conflicts: [],
      doubled: 0,
    });
  },
  30_000,
);

test('ends with 1 where readings that a failing card did not take go with the process', async () => {
  const {code, log} = await start(RUNNING, (said, child) => {
    if (said.includes('SIGTERM')) return;
    if (said.includes('NOT STORED')) child.kill('SIGTERM');
    else if (said.includes('accepted')) writeFileSync(fullDisk(), 'EIO');
  });
  expect({code, log}).toEqual({code: 1, log: expect.stringMatching(/GIVEN UP: \d+ readings were not stored/)});
  rmSync(fullDisk());
  expect(await agent('--once')).toMatchObject({code: 0});
}, 30_000);

test('ends with 1 and says why where it runs with an end, and not one byte can be written', async () => {
  expect(await agent('--once')).toMatchObject({code: 0});
  writeFileSync(fullDisk(), '');
  expect(await agent('--once')).toMatchObject({
    code: 1,
    log: expect.stringContaining('the disk is full; what is stored is kept'),
  });
  rmSync(fullDisk());
  expect(await agent('--once')).toMatchObject({code: 0});
}, 30_000);
