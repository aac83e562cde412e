/** What an agent does while the way to its region, or the region, takes something amiss. As a process of its own, against a region in memory. */
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createServer, type AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {startAgent, type Ended} from '../testing/agent-process.ts';
import {isBatch, startFakeRegion, type FakeRegion} from '../testing/fake-region.ts';
import {startMiddlebox} from '../testing/middlebox.ts';

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

const placeAt = (url: string) => ({url, folder, disk: join(folder, 'full')});
const runOnce = (url = region.url): Promise<Ended> => startAgent(placeAt(url), ['--once', '--backoff-scale', '0.001']);

const timesInSpool = (): number[] => [
  ...new Set(
    [...readFileSync(join(folder, 'state', 'spool.log'), 'utf8').matchAll(/"t":(\d+)/g)].map(([, t]) => Number(t)),
  ),
];

test('goes on with measuring, and stores what it measures, while a call hangs', async () => {
  const isCalled = Promise.withResolvers<undefined>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    isCalled.resolve(undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an AddressInfo.
  const {port} = server.address() as AddressInfo;
  let during = 0;
  const {code} = await startAgent(
    placeAt(`http://127.0.0.1:${port}`),
    ['--interval', '0.05', '--timeout', '300', '--backoff-scale', '0.001'],
    undefined,
    (child) =>
      void isCalled.promise.then(() => {
        const before = timesInSpool().length;
        const look = setInterval(() => {
          during = timesInSpool().length - before;
          if (during < 3) return;
          clearInterval(look);
          child.kill('SIGTERM');
        }, 20);
        child.on('close', () => clearInterval(look));
      }),
  );
  expect({code, during}).toEqual({code: 0, during: expect.any(Number)});
  expect(during).toBeGreaterThanOrEqual(3);
  server.close();
}, 20_000);

test('says what the region calls bad, and does not end with 0', async () => {
  region.trouble = (path, body) => {
    if (!isBatch(path, body)) return undefined;
    const {epoch, batchSeq} = body;
    const [device] = region.devices.values();
    device?.batches.set(`${String(epoch)}:${String(batchSeq)}`, {hash: '', records: [], state: undefined});
    const errors = [{pointer: '/records/0/d'}, {pointer: '/records/3'}];
    const detail = '2 of 6 records cannot be stored; the rest is taken';
    return {kind: 'status', status: 422, body: {title: 'Invalid', detail, accepted: batchSeq, applied: 0, errors}};
  };
  expect(await runOnce()).toEqual({
    code: 1,
    log: expect.stringMatching(/BAD: [^\n]*2 of 6 records cannot be stored[^]*1 batches have records or a state/),
  });
}, 20_000);

test('says that a batch reached the region with another content, and does not end with 0', async () => {
  const box = await startMiddlebox(region.url, async ({call, forward, answer}) => {
    const text = call.body.toString('latin1').replace(/"totalKib":\d/, '"totalKib":0.');
    answer(await forward({...call, body: Buffer.from(text, 'latin1')}));
  });
  try {
    expect(await runOnce(box.url)).toEqual({
      code: 1,
      log: expect.stringMatching(/GARBLED: batch e1\/1 [^]*1 batches were garbled on their way/),
    });
  } finally {
    await box.close();
  }
}, 20_000);
