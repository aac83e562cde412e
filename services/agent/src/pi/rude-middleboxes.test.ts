/**
 * An agent behind some 200 kinds of rude middlebox. Whatever these do, no reading and no credential is lost, and the exit code says 0 only when everything
 * is applied. Waits are on a clock of our own, so nobody waits.
 */
import {createHash} from 'node:crypto';
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {Device} from '../client/device.ts';
import type {Identity} from '../client/identity.ts';
import {Outbox, type OutboxEntry} from '../client/outbox.ts';
import {createTransport} from '../client/transport.ts';
import type {Reading} from '../client/wire.ts';
import {startFakeRegion, type FakeRegion} from '../testing/fake-region.ts';
import {startMiddlebox} from '../testing/middlebox.ts';
import {misroutings, RUDENESSES, strayAnswers, type Rudeness} from '../testing/rude-deeds.ts';
import {syncOnce, verdict} from './agent.ts';

/** Of the device, as the region in memory makes it. */
const DEVICE_ID = createHash('md5').update('pi-1').digest('hex');
const READINGS = 12;
const DAYS_MS = 30 * 86_400_000;
/** Calls of a run behind a box that is rude for ever, and of one that makes the device wait besides. */
const CALLS = 12;
const SLOW_CALLS = 2;

/** What is on the device's disk. */
interface Disk {
  identity: Identity;
  readonly journal: OutboxEntry[];
  asideCount: number;
}

/** One run of the agent with `--once`, as main.ts has it. */
const run = async (disk: Disk, baseUrl: string, token: string, readings: readonly Reading[], mostCalls = Infinity) => {
  const {transport, close} = createTransport({
    connections: 1,
    host: undefined,
    timeoutMs: 400,
    caFile: undefined,
    insecure: false,
  });
  let nowMs = 0;
  let calls = 0;
  let secrets = disk.journal.length;
  const stop = new AbortController();
  const outbox = new Outbox();
  for (const entry of disk.journal) outbox.apply(structuredClone(entry));
  const before = outbox.dropped;
  const append = (entries: readonly OutboxEntry[]) =>
    Promise.resolve(void disk.journal.push(...structuredClone(entries)));
  const device = new Device({
    identity: disk.identity,
    outbox,
    memory: {
      saveIdentity: (identity) => Promise.resolve(void (disk.identity = identity)),
      append,
      setAside: () => Promise.resolve((disk.asideCount += 1) > 0),
    },
    transport,
    clock: {monotonicMs: () => nowMs, wallMs: () => 0},
    random: Math.random,
    newSecret: () => `secret-${(secrets += 1)}`,
    readState: () => ({v: 1}),
    observer: {
      called() {
        calls += 1;
        if (calls >= mostCalls) stop.abort();
      },
    },
    options: {baseUrl, enrolmentToken: token, profile: {}, backoffScale: 1},
  });
  await device.record(readings);
  const done = await syncOnce(
    {
      device,
      limits: {maxQueued: 1000, compactBytes: 0},
      collect: () => [],
      drop: append,
      spool: {hasRoom: () => Promise.resolve(true), settle: () => Promise.resolve()},
      nowMs: () => nowMs,
      sleep: (ms) => Promise.resolve(void (nowMs += ms)),
      signal: stop.signal,
      tell: () => undefined,
    },
    DAYS_MS,
  );
  await close();
  return {...verdict(device, done, {readings: outbox.dropped - before, lines: 0}, stop.signal.aborted), tookMs: nowMs};
};

/** Its refusals are as good as our own region's. */
const NAMESAKE = 'another region of the same name';
let others: Readonly<Record<string, FakeRegion>>;
beforeAll(async () => {
  const [known, unknown, named] = [
    await startFakeRegion('other'),
    await startFakeRegion('other'),
    await startFakeRegion(),
  ];
  unknown.token = 'another-token';
  named.token = 'another-token';
  others = {
    'another region with the same token': known,
    'another region': unknown,
    [NAMESAKE]: named,
  };
});
afterAll(async () => {
  for (const region of Object.values(others)) await region.close();
});

const readingsOf = (round: number): Reading[] =>
  Array.from({length: READINGS}, (_, i) => ({k: 'n', t: round * READINGS + i, d: {text: 'x'.repeat(100), round, i}}));

/** Says with each answer what was applied at the one before, so that heartbeats are needed. */
const startLaggingRegion = async (): Promise<FakeRegion> => {
  const region = await startFakeRegion();
  const told = new Map<string, number>();
  region.applied = ({deviceId, batches}, epoch) => {
    let through = 0;
    while (batches.has(`${epoch}:${through + 1}`)) through += 1;
    const before = told.get(`${deviceId} ${epoch}`) ?? 0;
    told.set(`${deviceId} ${epoch}`, through);
    return before;
  };
  return region;
};

type Manner = 'for some calls' | 'now and then' | 'from the second run on';

/** @returns what went wrong */
const live = async ({deed, isSlow, isDenial, isRefusal, isHarmless}: Rudeness, manner: Manner, isLed: boolean) => {
  const region = await startLaggingRegion();
  const box = await startMiddlebox(region.url, deed);
  const disk: Disk = {identity: {hardwareId: 'pi-1', pending: {secret: 'secret-0'}}, journal: [], asideCount: 0};
  const wrong: string[] = [];
  const check = (what: string, isRight: boolean): void => {
    if (!isRight) wrong.push(what);
  };
  const isStored = (rounds: number): boolean => {
    const times = new Set(
      [...region.devices.values()].flatMap(({batches}) =>
        [...batches.values()].flatMap(({records}) => records.map(({t}) => t)),
      ),
    );
    return readingsOf(0)
      .concat(rounds > 1 ? readingsOf(1) : [], rounds > 2 ? readingsOf(2) : [])
      .every(({t}) => times.has(t));
  };
  try {
    const {token} = region;
    // A device that has no region yet takes the first that takes it.
    const first = isLed ? 2 : 1;
    if (manner === 'for some calls') box.isRude = (call) => call >= first && call < first + 6;
    // Without a rhythm, with which the rhythm of a device could agree.
    if (manner === 'now and then') box.isRude = (call) => call >= first && (call * call) % 7 > 2;
    if (manner === 'from the second run on') box.isRude = () => false;
    let code = 1;
    for (const round of [0, 1]) {
      // Once the device has heard how far the region is, so that it sends batches.
      const heard = box.calls() + 1;
      if (round === 1 && manner === 'from the second run on') box.isRude = (call) => call > heard;
      const isEndless = manner === 'from the second run on' && round === 1;
      const most = isEndless ? (isSlow ? SLOW_CALLS : CALLS) : 1000;
      const result = await run(disk, box.url, token, readingsOf(round), most);
      code = result.code;
      check(`exit code ${code} of round ${round}: ${result.text}`, isEndless && !isHarmless ? true : code === 0);
      check(`exit code 0 without everything stored in round ${round}`, code === 1 || isStored(round + 1));
      check(`it took ${result.tookMs} ms`, isEndless || result.tookMs < 12 * 3600_000);
    }
    box.isRude = () => false;
    const last = await run(disk, box.url, token, readingsOf(2));
    check(`exit code ${last.code} behind an honest box: ${last.text}`, last.code === 0);
    check('not every reading is stored', isStored(3));
    check('readings were given up', disk.asideCount === 0);
    const [device, ...more] = [...region.devices.values()];
    check('the credential is lost', more.length === 0 && device?.secret === disk.identity.current?.secret);
    check(`epoch ${device?.ordinal}`, isRefusal === true || device?.ordinal === 1);
    check(`conflicts ${device?.conflicts.join(', ')}`, isDenial === true || device?.conflicts.length === 0);
  } catch (error) {
    wrong.push(String(error));
  } finally {
    await box.close();
    await region.close();
  }
  return wrong;
};

/** So many at once, because some wait for time-outs. */
const ABREAST = 24;

test.each<[Manner]>([['for some calls'], ['now and then'], ['from the second run on']])(
  'an agent behind a middlebox that is rude %s loses no reading and no credential, and says how it ended',
  async (manner) => {
    const urls = Object.fromEntries(Object.entries(others).map(([name, {url}]) => [name, url]));
    const {[NAMESAKE]: namesake = '', ...strange} = urls;
    const led = [
      ...misroutings(strange),
      ...misroutings({[NAMESAKE]: namesake}).map((kind) => ({...kind, isRefusal: true as const})),
    ];
    const kinds = [
      ...[...RUDENESSES, ...strayAnswers('fake', DEVICE_ID)].map((kind) => ({kind, isLed: false})),
      ...led.map((kind) => ({kind, isLed: true})),
    ];
    expect(new Set(kinds.map(({kind}) => kind.name)).size).toBe(kinds.length);
    expect(kinds.length).toBeGreaterThanOrEqual(200);
    const wrong: Record<string, readonly string[]> = {};
    const waiting = [...kinds].sort((a, b) => Number(b.kind.isSlow ?? false) - Number(a.kind.isSlow ?? false));
    const work = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const found = await live(next.kind, manner, next.isLed);
        if (found.length > 0) wrong[next.kind.name] = found;
      }
    };
    await Promise.all(Array.from({length: ABREAST}, work));
    expect(wrong).toEqual({});
  },
  120_000,
);
