/** What a device does to have more stored, or more done, than it should. Its credential is valid. */
import type {Random} from './random.ts';

interface Sync {
  /** Undefined: the next one that was not used. */
  readonly batchSeq?: number;
  readonly members: Readonly<Record<string, unknown>>;
  /** Ready JSON in place of `members.records`. */
  readonly records?: string;
}

export interface Trick {
  readonly name: string;
  /** @param used how many numbers were used so far */
  readonly make: (random: Random, used: number) => Sync;
}

const MOST_RECORDS = 500;
/** Less than costs a call more (device-quota.ts). */
const ROOM = 250 * 1024;

/** As many records as fit, each with this as its data. */
const recordsWith = (data: string, room = ROOM): string => {
  const count = Math.min(MOST_RECORDS, Math.floor(room / (data.length + 30)));
  return `[${Array.from({length: count}, (_, n) => `{"s":${n},"k":"a"${data === '' ? '' : `,"d":${data}`}}`).join(',')}]`;
};

const list = (length: number, item: (n: number) => string): string =>
  `[${Array.from({length}, (_, n) => item(n)).join(',')}]`;
const digit = (random: Random) => () => String(random.int(1, 9));

/** Those by which more may be stored than was sent. */
export const STORING: readonly Trick[] = [
  {name: 'records that say nothing', make: () => ({members: {}, records: recordsWith('')})},
  {
    name: 'records of many small numbers',
    make: (random) => ({members: {}, records: recordsWith(list(150, digit(random)))}),
  },
  {name: 'records of empty lists', make: () => ({members: {}, records: recordsWith(list(120, () => '[]'))})},
  {
    name: 'records of texts of one letter',
    make: (random) => ({
      members: {},
      records: recordsWith(`{${Array.from({length: 60}, (_, n) => `"${n}":"${random.int(0, 9)}"`).join(',')}}`),
    }),
  },
  {name: 'records of large numbers', make: () => ({members: {}, records: recordsWith(list(50, (n) => `${n}e307`))})},
  {
    name: 'records of 60 KiB',
    make: (random) => ({members: {}, records: recordsWith(list(20_000, digit(random)), 480_000)}),
  },
  {name: 'records that cannot be stored', make: () => ({members: {}, records: list(MOST_RECORDS, () => '1')})},
  {
    name: 'records with text that cannot be stored',
    make: (random) => ({members: {}, records: recordsWith(`"\\u0000${random.bytes(150).toString('hex')}"`)}),
  },
  {name: 'batches without records', make: (_, used) => ({members: {state: {v: used}}})},
  {name: 'states that change', make: (random) => ({members: {state: {v: random.bytes(7_000).toString('hex')}}})},
  {
    name: 'states of many small numbers',
    make: (random) => ({members: {state: JSON.parse(`{"a":${list(5_000, digit(random))}}`) as unknown}}),
  },
  {
    name: 'states that are too large',
    make: (random) => ({members: {state: {v: random.bytes(60_000).toString('hex')}}}),
  },
  {
    name: 'other content under used numbers',
    make: (random, used) => ({
      ...(used < 3 ? {} : {batchSeq: random.int(1, Math.min(used, 20))}),
      members: {state: {v: random.int(1, 1e9)}},
      records: recordsWith(`"${random.bytes(200).toString('hex')}"`),
    }),
  },
];

/** Those by which more may be done. */
export const WORKING: readonly Trick[] = [
  {name: 'heartbeats', make: () => ({batchSeq: 0, members: {mode: 'heartbeat'}})},
  {name: 'numbers far ahead', make: (random, used) => ({batchSeq: used + random.int(65, 100_000), members: {}})},
  {
    name: 'a body that takes long to read',
    make: (random) => ({
      batchSeq: random.int(1, 20),
      members: {anything: 1},
      records: list(240_000, () => '0').replace('0', '{}'),
    }),
  },
  {
    name: 'commands that nobody gave',
    make: (random) => ({members: {pull: {cmdAcks: Array.from({length: 500}, () => random.bytes(16).toString('hex'))}}}),
  },
];
