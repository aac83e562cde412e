import {isUtf8} from 'node:buffer';
import {hash} from 'node:crypto';
import {type Static, Type} from 'typebox';
import {Compile} from 'typebox/compile';
import {cmdAcksOf} from '@pisync/core/commands/cmd-acks';
import {AppError, type Fault} from '@pisync/core/errors/app-error';
import {shortened, sizeOfFault} from '@pisync/core/errors/faults';
import {type EqualNames, findEqualNames} from '@pisync/core/json/equal-names';
import {findRawNumber, isRawNumber, parseExactJson} from '@pisync/core/json/exact-json';
import {scanJson} from '@pisync/core/json/scan';
import {isStorable} from '@pisync/core/json/storable';
import {storedAtMost, storedSize} from './stored-size.ts';

/** Most records of one batch; told to devices in the policy. */
export const MAX_RECORDS = 500;
const MAX_DEPTH = 32;
/** Of the data of one record, as the database writes it. What is larger is a file rather than a reading. */
export const MAX_VALUE_BYTES = 64 * 1024;
/** Of a state likewise. Pages show the states of many devices, and one that changes is written anew with each sync. */
export const MAX_STATE_BYTES = 16 * 1024;
/** A body may have hundreds of faults; after so much of them each bad record is only named, so that an answer has room for all. */
const MAX_TOLD_BYTES = 32 * 1024;
/** Of a body that is no sync call. */
const MAX_FAULTS = 100;

/** Unknown members are ignored everywhere, so that newer devices may say more. */
const envelopeSchema = Type.Object({
  epoch: Type.String({minLength: 1, maxLength: 64}),
  batchSeq: Type.Integer({minimum: 0, maximum: Number.MAX_SAFE_INTEGER}),
  mode: Type.Union([Type.Literal('delta'), Type.Literal('full'), Type.Literal('heartbeat')]),
  /** For people to read; a newer device may say more. */
  reason: Type.Optional(Type.Unknown()),
  state: Type.Optional(Type.Union([Type.Null(), Type.Record(Type.String(), Type.Unknown())])),
  records: Type.Optional(Type.Array(Type.Unknown())),
  more: Type.Optional(Type.Boolean()),
  pull: Type.Optional(Type.Unknown()),
});

const recordSchema = Type.Object({
  s: Type.Integer({minimum: 0, maximum: Number.MAX_SAFE_INTEGER}),
  k: Type.String({minLength: 1, maxLength: 64}),
  /** Milliseconds since 1970 by the device's clock. One that cannot be is stored as none, and said to be bad. */
  t: Type.Optional(Type.Unknown()),
  d: Type.Optional(Type.Unknown()),
});

const REASONS = ['scheduled', 'forced', 'retry', 'boot'] as const;
type Reason = (typeof REASONS)[number];

const envelope = Compile(envelopeSchema);
const record = Compile(recordSchema);

/** What is kept of a body while its batch is on its way: the parsed records are garbage by then, the bytes go on instead. */
export interface SyncBody extends Pick<Static<typeof envelopeSchema>, 'epoch' | 'batchSeq' | 'mode'> {
  /** Undefined when the device says none that we know. */
  readonly reason: Reason | undefined;
  /** Whether the device has more batches. */
  readonly more: boolean;
  readonly recordCount: number;
  /** About how many values all of the body has. */
  readonly valueCount: number;
  /** Commands that the call says are done, by their ids. */
  readonly cmdAcks: readonly string[];
  /** Records that cannot be stored, in order. */
  readonly bad: readonly number[];
  /** The state cannot be stored; a heartbeat's, which is not stored anyway, is not looked at. */
  readonly isStateBad: boolean;
  /** One an entry of `bad`, at least, and one of a bad state. */
  readonly faults: readonly Fault[];
  /** sha256 in hex of what is equal in every attempt of a batch: clock, statistics and reason are not. */
  readonly contentHash: string;
}

/**
 * Reads a sync call's body. Faults of single records, and of the state, are listed in the result; the rest of the batch is fine.
 * @throws AppError `malformed-json`, `bad-request` with one entry per fault, or `payload-too-large`.
 */
export const parseSyncBody = (bytes: Buffer): SyncBody => {
  const {json, doubts, valueCount} = parseJson(bytes);
  refuseEqualNames(doubts.equalNames.get(''));
  if (!envelope.Check(json)) throw new AppError('bad-request', 'the body is not a sync call', {errors: faultsOf(json)});
  const {epoch, batchSeq, mode, reason, state, records = [], more = false, pull} = json;
  if (records.length > MAX_RECORDS) {
    throw new AppError('payload-too-large', `a batch has at most ${MAX_RECORDS} records`, {
      extra: {maxRecords: MAX_RECORDS},
    });
  }
  const ofState = mode === 'heartbeat' ? [] : faultsOfState(state, doubts);
  const bad: number[] = [];
  const faults: Fault[] = ofState.slice(0, 1).map(below('/state'));
  let room = MAX_TOLD_BYTES;
  for (const [index, value] of records.entries()) {
    const found = faultsOfRecord(value, index, doubts);
    if (found.length === 0) continue;
    bad.push(index);
    const pointer = `/records/${index}`;
    const told = found.map(below(pointer));
    room -= told.map(sizeOfFault).reduce((sum, bytes) => sum + bytes);
    faults.push(...(room < 0 ? [{pointer, detail: 'cannot be stored'}] : told));
  }
  // Of equal names the parsed values have the last alone.
  const unparsed =
    doubts.equalNames.size === 0 ? [] : [[...doubts.equalNames].map(([part, {source}]) => [part, source])];
  const contentHash = hash('sha256', JSON.stringify([state ?? null, records, ...unparsed]), 'hex');
  return {
    ...{epoch, batchSeq, mode, more, bad, faults, contentHash, valueCount},
    reason: REASONS.find((known) => known === reason),
    recordCount: records.length,
    cmdAcks: cmdAcksOf(pull),
    isStateBad: ofState.length > 0,
  };
};

/** What a quick look at the text could not rule out, so that the parsed values are looked at too. */
export interface Doubts {
  readonly text: boolean;
  readonly numbers: boolean;
  /** Parts that have two members of one name, by their pointers. */
  readonly equalNames: ReadonlyMap<string, EqualNames>;
  /** No value is larger, stored. */
  readonly mostBytes: number;
}

/** Numbers that would change are in the value as raw numbers, see parseExactJson. */
export const parseJson = (
  bytes: Buffer,
): Pick<SyncBody, 'valueCount'> & {readonly json: unknown; readonly doubts: Doubts} => {
  const scan = scanJson(bytes);
  // Recursive code behind this (JSON.stringify, jsonb) has a stack, and a megabyte of "[" would overflow it.
  if (scan.depth > MAX_DEPTH) {
    throw new AppError('bad-request', `the body is nested deeper than ${MAX_DEPTH} levels`);
  }
  // Decoded, bytes that are no text would all look alike, and so would bodies that differ in nothing else.
  if (!isUtf8(bytes)) throw new AppError('malformed-json', 'the body is not UTF-8');
  const text = bytes.toString('utf8');
  try {
    const {value, hasRaw, hasEqualNames} = parseExactJson(text, scan);
    return {
      json: value,
      valueCount: scan.values,
      doubts: {
        text: scan.hasUnicodeEscape && UNSTORABLE_ESCAPE.test(text),
        numbers: hasRaw,
        equalNames: hasEqualNames ? findEqualNames(text) : NO_EQUAL_NAMES,
        mostBytes: storedAtMost(bytes.length, scan),
      },
    };
  } catch (error) {
    throw new AppError('malformed-json', `the body is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
};

const NO_EQUAL_NAMES: ReadonlyMap<string, EqualNames> = new Map();
const EQUAL_NAMES = 'comes twice, and only one of them could be stored';

/** @throws AppError `bad-request` where there are some */
export const refuseEqualNames = (found: EqualNames | undefined): void => {
  if (found === undefined) return;
  const errors = [{pointer: found.pointer, detail: EQUAL_NAMES}];
  throw new AppError('bad-request', 'the body has two members of one name', {errors});
};

/** @param part its pointer */
const equalNamesOf = (part: string, {equalNames}: Doubts): readonly Fault[] => {
  const found = equalNames.get(part);
  return found === undefined ? NONE : [{pointer: found.pointer.slice(part.length), detail: EQUAL_NAMES}];
};

/** What JSON allows and PostgreSQL does not (core's json/storable.ts): JSON can only write it as escapes. */
const UNSTORABLE_ESCAPE = /\\u(?:0000|[dD][89a-fA-F])/;
const UNSTORABLE = 'has a NUL character or half of a surrogate pair, which cannot be stored';

const faultsOf = (json: unknown): readonly Fault[] =>
  envelope
    .Errors(json)
    .slice(0, MAX_FAULTS)
    .map(({instancePath, message}) => ({pointer: instancePath, detail: message}));

/** Bounds what of a number is repeated in the answer. */
const SHOWN_DIGITS = 40;

const unstorable = (value: unknown, doubts: Doubts): readonly Fault[] => {
  if (doubts.text && !isStorable(value)) return [{pointer: '', detail: UNSTORABLE}];
  const raw = doubts.numbers ? findRawNumber(value) : undefined;
  if (raw === undefined) return [];
  const number = raw.source.length > SHOWN_DIGITS ? `${raw.source.slice(0, SHOWN_DIGITS)}…` : raw.source;
  return [{pointer: raw.pointer, detail: `${number} would change, because numbers are IEEE doubles; send it as text`}];
};

const tooLarge = (value: unknown, limit: number, {mostBytes}: Doubts): readonly Fault[] => {
  if (value === undefined || mostBytes <= limit) return [];
  const bytes = storedSize(value);
  if (bytes <= limit) return [];
  return [{pointer: '', detail: `is ${bytes} bytes, every number written out; at most ${limit} are stored`}];
};

const faultsOfState = (state: unknown, doubts: Doubts): readonly Fault[] => [
  ...equalNamesOf('/state', doubts),
  ...unstorable(state, doubts),
  ...tooLarge(state, MAX_STATE_BYTES, doubts),
];

/** Of a number that is none, a double or not, only the time is not stored. */
const isTime = (value: unknown): boolean =>
  value === undefined || value === null || typeof value === 'number' || isRawNumber(value);

const NONE: readonly Fault[] = [];

const below =
  (pointer: string) =>
  (fault: Fault): Fault =>
    shortened({...fault, pointer: pointer + fault.pointer});

const faultsOfRecord = (value: unknown, index: number, doubts: Doubts): readonly Fault[] => {
  if (doubts.equalNames.size > 0) {
    const found = equalNamesOf(`/records/${index}`, doubts);
    if (found.length > 0) return found;
  }
  if (!record.Check(value)) {
    return record
      .Errors(value)
      .slice(0, 3)
      .map(({instancePath, message}) => ({pointer: instancePath, detail: message}));
  }
  const {k, t, d} = value;
  if (!isTime(t)) return [{pointer: '/t', detail: 'must be milliseconds since 1970, or null'}];
  if (!doubts.text && !doubts.numbers && doubts.mostBytes <= MAX_VALUE_BYTES) return NONE;
  const ofData = [...unstorable(d, doubts), ...tooLarge(d, MAX_VALUE_BYTES, doubts)];
  return [...unstorable(k, doubts).map(below('/k')), ...ofData.map(below('/d'))];
};
