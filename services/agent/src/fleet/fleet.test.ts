import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {createTransport} from '../client/transport.ts';
import {openBuckets} from '../judge/buckets.ts';
import type {BatchClaim} from '../judge/claims.ts';
import {ledgerEntrySchema, type LedgerEntry} from '../ledger/entry.ts';
import {openLedger} from '../ledger/writer.ts';
import {isBatch, startFakeRegion, type FakeRegion} from '../testing/fake-region.ts';
import {runFleet, type FleetOptions} from './fleet.ts';
import {parseFleetCommand} from './options.ts';
import {parseSeries, readingsOf} from './series.ts';
import type {FleetReport} from './tally.ts';

const data = join(dirname(createRequire(import.meta.url).resolve('vega-datasets')), '..', 'data');
const series = parseSeries(readFileSync(join(data, 'seattle-weather-hourly-normals.csv'), 'utf8'));

let region: FakeRegion;
let folder: string;

beforeEach(async () => {
  region = await startFakeRegion();
  folder = mkdtempSync(join(tmpdir(), 'pisync-fleet-test-'));
});
afterEach(async () => {
  await region.close();
  rmSync(folder, {recursive: true});
});

const run = async (changes: Partial<FleetOptions>, signal = new AbortController().signal): Promise<FleetReport> => {
  const {transport, close} = createTransport({
    connections: 16,
    host: undefined,
    timeoutMs: 2000,
    caFile: undefined,
    insecure: false,
  });
  const ledger = await openLedger(join(folder, 'ledger'));
  let secrets = 0;
  const report = await runFleet({
    options: {
      devices: 20,
      batches: 3,
      records: 5,
      durationMs: 200,
      rampMs: 20,
      deadlineMs: 5000,
      run: 'test',
      device: {baseUrl: region.url, enrolmentToken: region.token, backoffScale: 0.0002},
      ...changes,
    },
    series,
    transport,
    clock: {monotonicMs: () => performance.now(), wallMs: () => Date.now()},
    random: () => 0.5,
    newSecret: () => `secret-${++secrets}`,
    ledger,
    sleep: (ms, stop) => delay(ms, undefined, {signal: stop}).catch(() => undefined),
    signal,
    progress: () => undefined,
    progressEveryMs: 1000,
  });
  await ledger.close();
  await close();
  return report;
};

const lines = (): LedgerEntry[] =>
  readFileSync(join(folder, 'ledger'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => ledgerEntrySchema.parse(JSON.parse(line)));

test('every device sends every batch, and the ledger says so', async () => {
  const report = await run({});
  expect(report).toMatchObject({devices: 20, enrolled: 20, batches: 60, records: 300, acked: 60, unfinished: 0});
  expect(report.accept.count).toBe(60);
  const stored = [...region.devices.values()].flatMap(({batches}) => [...batches.keys()]);
  expect(stored).toHaveLength(60);
  const sent = lines().filter(({t}) => t === 'sent');
  expect(sent).toHaveLength(60);
});

test('retries after lost answers until acked, and writes each content down once', async () => {
  let calls = 0;
  region.trouble = (path, body) => (isBatch(path, body) && calls++ % 3 === 0 ? {kind: 'take-and-hang-up'} : undefined);
  const report = await run({});
  expect(report).toMatchObject({acked: 60, unfinished: 0});
  expect(report.duplicates).toBeGreaterThan(0);
  expect(lines().filter(({t}) => t === 'sent')).toHaveLength(60);
  expect(lines().filter((entry) => entry.t === 'answer' && entry.answer === 'unknown').length).toBe(report.retries);
});

test('stops at the deadline and says what has no answer', async () => {
  region.trouble = (path, body) => (isBatch(path, body) ? {kind: 'status', status: 503} : undefined);
  const report = await run({devices: 2, deadlineMs: 100});
  expect(report).toMatchObject({acked: 0, unfinished: 6});
  expect(Object.keys(report.errors)).toEqual(['sync: HTTP 503']);
});

test('ends soon when interrupted', async () => {
  const stop = new AbortController();
  const startMs = performance.now();
  setTimeout(() => stop.abort(), 50);
  const report = await run({durationMs: 60_000}, stop.signal);
  expect(report.interrupted).toBe(true);
  expect(performance.now() - startMs).toBeLessThan(5000);
});

test('a ledger that is read in several parts holds whole devices, and the same claims', async () => {
  await run({});
  const read = async (bucketBytes: number): Promise<Map<string, ReadonlyMap<string, BatchClaim>>> => {
    const buckets = await openBuckets([join(folder, 'ledger')], bucketBytes);
    const devices = new Map<string, ReadonlyMap<string, BatchClaim>>();
    for await (const claims of buckets.parts()) {
      for (const [device, batches] of claims.devices) {
        expect(devices.has(device)).toBe(false);
        devices.set(device, batches);
      }
    }
    await buckets.close();
    return devices;
  };
  const [whole, split] = [await read(1 << 30), await read(2000)];
  expect(new Map([...split].sort())).toEqual(new Map([...whole].sort()));
  expect(whole.size).toBe(20);
});

test('neighbours measure different hours, each device a continuous series', () => {
  const [first] = readingsOf(series, 1, 0, 1, 0);
  const [neighbour] = readingsOf(series, 2, 0, 1, 0);
  expect(first?.d).not.toEqual(neighbour?.d);
  const long = readingsOf(series, 3, 0, 40, 0).map(({d}) => d);
  expect([...readingsOf(series, 3, 0, 20, 0), ...readingsOf(series, 3, 20, 20, 0)].map(({d}) => d)).toEqual(long);
});

test('a wrong command line is told all its problems at once', () => {
  expect(parseFleetCommand(['run', '--devices', 'x', '--records=-1'])).toEqual({
    kind: 'wrong',
    problems: [
      '--url is missing',
      '--enrolment-token-file is missing',
      '--devices must be a whole number of at least 1, not "x"',
      '--records must be a whole number of at least 0, not "-1"',
    ],
  });
  expect(parseFleetCommand(['judge', '--wait', 'long'])).toEqual({
    kind: 'wrong',
    problems: ['--ledger is missing', '--shards-file is missing', '--wait must be a number of at least 0, not "long"'],
  });
});
