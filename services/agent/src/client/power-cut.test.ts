/** A device loses its power at every moment that matters: before and after each thing that it makes durable. */
import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {startFakeRegion, type FakeRegion} from '../testing/fake-region.ts';
import {Device, type Memory} from './device.ts';
import type {Identity} from './identity.ts';
import {Outbox, type OutboxEntry} from './outbox.ts';
import {createTransport} from './transport.ts';
import type {Reading} from './wire.ts';

class PowerCut extends Error {}

interface Cut {
  /** The power goes at this operation, from 1, and once more so many operations later. */
  readonly at: number;
  readonly again: number;
  /** Whether what was being written then is on the card afterwards. */
  readonly durable: boolean;
}

const NEVER: Cut = {at: 0, again: 0, durable: true};

/** A card that keeps what was made durable. */
class Card {
  identity: Identity = {hardwareId: 'pi-1', pending: {secret: 'secret-0'}};
  readonly journal: OutboxEntry[] = [];
  operations = 0;
  readonly #cut: Cut;

  constructor(cut: Cut) {
    this.#cut = cut;
  }

  readonly memory: Memory = {
    saveIdentity: (identity) => this.#keep(() => (this.identity = identity)),
    append: (entries) => this.#keep(() => this.journal.push(...structuredClone(entries))),
    setAside: () => Promise.resolve(true),
  };

  get readings(): number[] {
    return this.journal.flatMap((entry) => (entry.op === 'reading' ? [entry.reading.t] : []));
  }

  #keep(write: () => unknown): Promise<void> {
    this.operations += 1;
    const {at, again, durable} = this.#cut;
    const isCut = this.operations === at || this.operations === at + again;
    if (!isCut || durable) write();
    return isCut ? Promise.reject(new PowerCut()) : Promise.resolve();
  }
}

let region: FakeRegion;
beforeEach(async () => {
  region = await startFakeRegion();
});
afterEach(() => region.close());

const BATCHES = 3;
const readings = (batch: number): Reading[] => [0, 1].map((i) => ({k: 'n', t: batch * 10 + i, d: {batch}}));

/** Records and syncs some batches, starting again after power cuts and before each batch. @returns how many operations the card saw. */
/** What the device's clock is ahead of ours. */
let aheadMs = 0;

const live = async (card: Card): Promise<number> => {
  const {transport, close} = createTransport({
    connections: 1,
    host: undefined,
    timeoutMs: 2000,
    caFile: undefined,
    insecure: false,
  });
  let secrets = 0;
  const boot = (): Device => {
    const outbox = new Outbox();
    for (const entry of card.journal) outbox.apply(structuredClone(entry));
    return new Device({
      identity: card.identity,
      outbox,
      memory: card.memory,
      transport,
      clock: {monotonicMs: () => performance.now() + aheadMs, wallMs: () => 0},
      random: () => 0,
      newSecret: () => `secret-${++secrets}`,
      readState: () => undefined,
      observer: {},
      options: {baseUrl: region.url, enrolmentToken: region.token, profile: {}, backoffScale: 0.0001},
    });
  };
  const isDone = ({outbox}: Device): boolean =>
    outbox.epoch !== undefined && outbox.queued === 0 && outbox.batches.length === 0;
  let device = boot();
  try {
    for (let batch = 0; batch < BATCHES; batch++) {
      let recorded = false;
      device = boot();
      const deadlineMs = performance.now() + 5000;
      for (;;) {
        try {
          if (!recorded) {
            recorded = true;
            await device.record(readings(batch));
            device.wakeUp('scheduled');
          }
          if (isDone(device)) break;
          if ((await device.step()) <= performance.now() + aheadMs) continue;
          // What may have been taken is asked for, and sent, again after hours.
          if (device.outbox.toSend === undefined) aheadMs += 6 * 3600 * 1000;
          device.ask();
        } catch (error) {
          if (!(error instanceof PowerCut)) throw error;
          device = boot();
        }
        if (performance.now() > deadlineMs) {
          throw new Error(
            `batch ${batch} is not applied: session ${JSON.stringify(device.session)}, outbox ${JSON.stringify([...device.outbox.entries()])}`,
          );
        }
      }
    }
  } finally {
    await close();
  }
  return card.operations;
};

/** What the region stored of all epochs: the time of each reading, which is unique here. */
const stored = (): number[] =>
  [...region.devices.values()]
    .flatMap(({batches}) => [...batches.values()].flatMap(({records}) => records.map(({t}) => t)))
    .sort((a, b) => a - b);

const LIVES: readonly (readonly [string, () => void])[] = [
  ['an ordinary life', () => undefined],
  [
    'a life in which answers get lost',
    () => {
      let calls = 0;
      region.trouble = (path) => (path === '/v1/sync' && calls++ % 2 === 0 ? {kind: 'take-and-hang-up'} : undefined);
    },
  ],
  [
    'a life in which a new epoch is asked for',
    () => {
      region.extra = (body) =>
        (body.epoch === 'e1' && body.batchSeq >= 2) || (body.epoch === 'e2' && body.batchSeq >= 1)
          ? {commands: [{id: `c-${body.epoch}`, type: 'epoch.new'}]}
          : {};
    },
  ],
  [
    'a life in which batches are too large',
    () => {
      region.trouble = (path, body) =>
        path === '/v1/sync' && Array.isArray(body.records) && body.records.length > 1
          ? {kind: 'status', status: 413, body: {maxRecords: 1}}
          : undefined;
    },
  ],
];

test.each(LIVES)(
  '%s: whenever the power goes, each reading is stored once and no number has two contents',
  async (_name, begin) => {
    begin();
    const operations = await live(new Card(NEVER));
    expect(operations).toBeGreaterThan(10);
    const cuts: readonly Cut[] = Array.from({length: operations}, (_, index) => index + 1).flatMap((at) =>
      [0, 2].flatMap((again) => [false, true].map((durable) => ({at, again, durable}))),
    );
    for (const cut of cuts) {
      region.devices.clear();
      begin();
      const card = new Card(cut);
      await live(card);
      const conflicts = [...region.devices.values()].flatMap((device) => device.conflicts);
      expect({cut, stored: stored(), conflicts}).toEqual({
        cut,
        stored: card.readings.sort((a, b) => a - b),
        conflicts: [],
      });
    }
  },
  60_000,
);
