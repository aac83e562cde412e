/**
 * The lines of a spool: `crc32 json`, each an entry of the outbox. After a power cut the last one may end in the middle. Anything else that is broken is not a power
 * cut but a bad card.
 */
import {crc32} from 'node:zlib';
import {contentHash} from '../client/content.ts';
import {Outbox, type Batch, type OutboxEntry} from '../client/outbox.ts';

/** What a seal numbered, so that it is understood where nobody knows what was counted before it. */
interface Sealed {
  readonly epoch: string;
  readonly batchSeq: number;
  /** Of the first record. */
  readonly s: number;
  /** The time of the first record, by which it is found. */
  readonly t?: number;
  /** See {@link contentHash}. */
  readonly hash: string;
}

type Seal = OutboxEntry & {readonly op: 'seal'; readonly sealed?: Sealed};

export type Line = Exclude<OutboxEntry, {op: 'seal'}> | Seal;

const recordsOf = (seal: Seal, outbox: Outbox): Batch['records'] => {
  const records: Batch['records'][number][] = [];
  let s = 0;
  for (const entry of outbox.entries()) {
    if (entry.op === 'start') s = entry.nextS;
    if (entry.op !== 'reading') continue;
    if (records.length >= seal.count) break;
    const {k, t, d} = entry.reading;
    records.push({s: s + records.length, k, t, d});
  }
  return records;
};

/** What is written of entries that are added to this outbox. */
export const linesOf = (entries: readonly OutboxEntry[], outbox: Outbox): readonly Line[] =>
  entries.map((entry, index): Line => {
    const {epoch, lastBatchSeq} = outbox;
    // What stands before it in the same write changes what it numbers.
    if (entry.op !== 'seal' || index > 0 || epoch === undefined) return entry;
    const records = recordsOf(entry, outbox);
    const [first] = records;
    const of = first === undefined ? {s: 0} : {s: first.s, t: first.t};
    return {...entry, sealed: {epoch, batchSeq: lastBatchSeq + 1, ...of, hash: contentHash(entry.state, records)}};
  });

export const encode = (line: Line): string => {
  const json = JSON.stringify(line);
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
};

/** One that a newer agent wrote may change what the others mean. */
const OPS: Readonly<Record<OutboxEntry['op'], true>> = {
  reading: true,
  drop: true,
  epoch: true,
  seal: true,
  accepted: true,
  bar: true,
  applied: true,
  resend: true,
  reopen: true,
  'send-once': true,
  withdraw: true,
  vacate: true,
  waited: true,
  lost: true,
  done: true,
  start: true,
  batch: true,
};

const decode = (line: string): Line | undefined => {
  const json = line.slice(9);
  if (line[8] !== ' ' || crc32(json) !== Number.parseInt(line.slice(0, 8), 16)) return undefined;
  // The checksum says that these are the bytes that encode() wrote.
  const read = JSON.parse(json) as Line;
  return Object.hasOwn(OPS, read.op) ? read : undefined;
};

/** What an append leaves that the power ended, a character may be in parts. On a bad card something else stands there. */
const isBeginningOfLine = (text: string): boolean =>
  /^(?:[0-9a-f]{1,8}|[0-9a-f]{8} [^\0\uFFFD]*\uFFFD{0,3})$/.test(text);

/**
 * What can be done behind a broken line, of which nobody knows what it was. Readings are kept: twice is better than never. Numbers are given by counting, and
 * what was counted is not known any more. Nor is whether a batch that was not accepted was numbered anew.
 */
const isKeptBehindDamage = ({op}: OutboxEntry): boolean =>
  op !== 'seal' && op !== 'drop' && op !== 'epoch' && op !== 'start';

const outboxOf = (entries: readonly OutboxEntry[]): Outbox => {
  const outbox = new Outbox();
  for (const entry of entries) outbox.apply(entry);
  return outbox;
};

/** The outbox with the batch that was sealed in place of its readings. @returns undefined where not all of these can be read */
const withSealed = (outbox: Outbox, {count, mode, reason, state, sealed}: Seal): Outbox | undefined => {
  if (sealed === undefined) return undefined;
  const {epoch, batchSeq, s, t, hash} = sealed;
  const entries = [...outbox.entries()];
  const readings = entries.filter((entry) => entry.op === 'reading');
  for (let at = 0; at + count <= readings.length; at++) {
    if (count > 0 && readings[at]?.reading.t !== t) continue;
    const records = readings.slice(at, at + count).map(({reading: {k, t, d}}, index) => ({s: s + index, k, t, d}));
    if (contentHash(state, records) !== hash) continue;
    const others = entries.filter(({op}) => op !== 'reading');
    const batch: Batch = {epoch, batchSeq, mode, reason, state, records, accepted: false};
    return outboxOf([...others, {op: 'batch', batch}, ...readings.toSpliced(at, count)]);
  }
  return undefined;
};

/**
 * What is certain of a journal. Readings are in no batch behind a broken line, unless their seal and all of them can be read.
 * @param lines undefined for each broken one
 */
export const salvage = (lines: readonly (Line | undefined)[]): readonly OutboxEntry[] => {
  const good = lines.filter((line) => line !== undefined);
  if (good.length === lines.length) return good;
  const broken = lines.indexOf(undefined);
  let outbox = outboxOf(good.slice(0, broken));
  for (const line of lines.slice(broken)) {
    if (line === undefined) outbox.apply({op: 'reopen'});
    else if (line.op === 'seal') outbox = withSealed(outbox, line) ?? outbox;
    else if (isKeptBehindDamage(line)) outbox.apply(line);
  }
  outbox.apply({op: 'lost', lines: lines.length - good.length});
  return [...outbox.entries()];
};

export interface Replay {
  readonly entries: readonly OutboxEntry[];
  /** Of the lines before the first broken one. */
  readonly sizeBytes: number;
  readonly recovery: 'clean' | 'torn' | 'corrupt';
  readonly lostLines: number;
}

/** Reads a journal. */
export const replay = (text: string): Replay => {
  const lines = text.split('\n');
  const last = lines.pop() ?? '';
  if (last !== '' && !isBeginningOfLine(last)) lines.push(last);
  const decoded = lines.map(decode);
  const broken = decoded.indexOf(undefined);
  const good = broken < 0 ? decoded.length : broken;
  const sizeBytes = lines.slice(0, good).reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
  if (broken < 0) return {entries: salvage(decoded), sizeBytes, recovery: last === '' ? 'clean' : 'torn', lostLines: 0};
  const lostLines = decoded.filter((entry) => entry === undefined).length;
  return {entries: salvage(decoded), sizeBytes, recovery: 'corrupt', lostLines};
};
