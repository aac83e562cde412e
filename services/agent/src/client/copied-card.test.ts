/** Two devices with copies of one card: whatever the other one does, what a card has is with the region before it is forgotten. */
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {drained, openDeviceBench, readings, type DeviceBench} from '../testing/device-bench.ts';
import {isBatch} from '../testing/fake-region.ts';
import type {Device} from './device.ts';
import type {Identity} from './identity.ts';
import {Outbox, type OutboxEntry} from './outbox.ts';

let bench: DeviceBench;
beforeEach(async () => {
  bench = await openDeviceBench();
});
afterEach(() => bench.close());

interface Card {
  readonly identity: Identity | undefined;
  readonly journal: readonly OutboxEntry[];
}

const copyOf = (): Card => structuredClone({identity: bench.saved.at(-1), journal: bench.journal});

/** What is written from here on is of this card. */
const start = ({identity, journal}: Card): Promise<Device> => {
  const outbox = new Outbox();
  for (const entry of structuredClone(journal)) outbox.apply(entry);
  bench.journal.splice(0, Infinity, ...journal);
  return bench.makeDevice(identity, outbox);
};

const sync = async (device: Device, t: number): Promise<void> => {
  await device.record([{k: 'n', t, d: {}}]);
  device.wakeUp('scheduled');
  await bench.until(device, () => drained(device), 'applied');
};

/** Each content that the region was given under these numbers. */
const given = (): number[] =>
  bench.region.seen
    .filter(({path, body}) => isBatch(path, body) && Array.isArray(body.records))
    .flatMap(({body}) => (body.records as {t: number}[]).map(({t}) => t));

const arrived = (): number[] =>
  [...bench.region.devices.values()].flatMap(({batches}) =>
    [...batches.values()].flatMap(({records}) => records.map(({t}) => t)),
  );

/** Both synced twice; then one seals its third batch and cannot send it, and the other goes on by so many. @param isAsked it was asked for, because it came through no more */
const diverge = async (others: number, isAsked = false): Promise<Device> => {
  const first = await start({identity: undefined, journal: []});
  await sync(first, 1);
  await sync(first, 2);
  const card = copyOf();
  const copy = await start(card);
  bench.region.trouble = (path, body) =>
    isBatch(path, body)
      ? {kind: 'status', status: isAsked ? 408 : 502, type: isAsked ? 'urn:pisync:problem:request-timeout' : undefined}
      : undefined;
  await copy.record(readings(4).map((reading) => ({...reading, t: 100 + reading.t})));
  copy.wakeUp('scheduled');
  await bench.until(copy, () => copy.outbox.batches.length > 0, 'sealed');
  let cards = copyOf();
  if (isAsked) {
    // After a start it may have been taken.
    const again = await start(cards);
    await bench.until(again, () => again.outbox.batches[0]?.accepted === true, 'asked for');
    cards = copyOf();
  }
  bench.region.trouble = () => undefined;
  const other = await start(card);
  for (let count = 0; count < others; count++) await sync(other, 3 + count);
  return start(cards);
};

test.each([
  ['without a 2xx', false],
  ['that was barred before a start', true],
])(
  'a batch %s is sent although a heartbeat calls its number applied, and is found in quarantine',
  async (_what, isAsked) => {
    const copy = await diverge(1, isAsked);
    const before = given().length;
    await bench.until(copy, () => drained(copy), 'applied');
    expect(given().slice(before)).toEqual([100, 101, 102, 103]);
    expect([...bench.region.devices.values()].flatMap(({conflicts}) => conflicts)).toEqual(['e1:3']);
  },
);

test.each([
  ['had no 2xx', false],
  ['had none, and was asked for because it came through no more', true],
])(
  'a batch that %s is numbered anew in a new epoch where the other copy is beyond its number',
  async (_what, isAsked) => {
    const copy = await diverge(3, isAsked);
    await bench.until(copy, () => copy.outbox.epoch === 'e2' && drained(copy), 'applied');
    expect(arrived().filter((t) => t >= 100)).toEqual([100, 101, 102, 103]);
    expect([...bench.region.devices.values()].flatMap(({conflicts}) => conflicts)).toEqual([]);
  },
);

test.each([
  ['is answered with a page', {kind: 'status', type: undefined, status: 502}],
  ['is too large for a proxy', {kind: 'status', type: undefined, status: 413}],
  ['is too slow', {kind: 'status', status: 408}],
] as const)('a single reading that is applied and %s ever since is asked for', async (_how, trouble) => {
  const device = await start({identity: undefined, journal: []});
  let calls = 0;
  bench.region.trouble = (path, body) => {
    if (!isBatch(path, body)) return undefined;
    calls += 1;
    return calls === 1 ? {kind: 'take-and-hang-up'} : trouble;
  };
  await device.record(readings(1));
  await bench.until(device, () => drained(device), 'found to be applied');
  expect(arrived()).toEqual([0]);
});
