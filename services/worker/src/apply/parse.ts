import {isUtf8} from 'node:buffer';
import {type BundleMeta} from '@pisync/core/broker/bundle';
import {cmdAcksOf} from '@pisync/core/commands/cmd-acks';
import {type EqualNames, findEqualNames} from '@pisync/core/json/equal-names';
import {findRawNumber, isRawNumber, parseExactJson} from '@pisync/core/json/exact-json';
import {scanJson} from '@pisync/core/json/scan';
import {isStorableText} from '@pisync/core/json/storable';
import {type BadPart, type Content, type ParsedRecord} from './batch.ts';
import {storableJson} from './storable.ts';

/** In 2001. What is less are seconds, or a clock that was never set, which begins at 1970. */
const EARLIEST_MS = 1e12;
/** What is more are microseconds. */
const LATEST_MS = Date.UTC(9999, 0, 1);

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Reads a request's body for the database. The body was validated when it was accepted, and `known` is what was
 * found bad then; everything is checked again, because a worker that trusts a queue stops at the first surprise in it.
 */
export const parseContent = (payload: Buffer, known: Pick<BundleMeta, 'bad' | 'badState'>): Content => {
  // Decoded, bytes that are no text would all look alike.
  if (!isUtf8(payload)) return {kind: 'rejected', reason: 'the body is not UTF-8'};
  let body: unknown;
  // A number that a double does not hold stays as it was sent, also in the payload of what is set aside.
  let hasRaw: boolean;
  let equalNames = NO_EQUAL_NAMES;
  try {
    const text = payload.toString('utf8');
    const parsed = parseExactJson(text, scanJson(payload));
    ({value: body, hasRaw} = parsed);
    if (parsed.hasEqualNames) equalNames = findEqualNames(text);
  } catch (error) {
    return {
      kind: 'rejected',
      reason: `the body is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
  if (equalNames.has('')) return {kind: 'rejected', reason: `the body has ${EQUAL_NAMES}`};
  if (!isObject(body)) return {kind: 'rejected', reason: 'the body is not a JSON object'};
  const {state, records: listed = []} = body;
  if (!Array.isArray(listed)) return {kind: 'rejected', reason: '/records is not an array'};

  const bad: BadPart[] = [];
  const spoil = (pointer: string, reason: string, value: unknown): void => {
    bad.push({pointer, reason, payload: Buffer.from(equalNames.get(pointer)?.source ?? JSON.stringify(value))});
  };

  const knownBad = new Set(known.bad);
  const records: ParsedRecord[] = [];
  // Array.isArray leaves the elements untyped; parseRecord takes anything.
  for (const [index, value] of (listed as readonly unknown[]).entries()) {
    const pointer = `/records/${index}`;
    const record = equalNames.has(pointer) ? `the record has ${EQUAL_NAMES}` : parseRecord(value, index, hasRaw);
    if (typeof record === 'string') spoil(pointer, record, value);
    else if (knownBad.has(index)) spoil(pointer, REFUSED, value);
    else records.push(record);
  }

  let stateText: string | undefined;
  if (state !== undefined && state !== null) {
    if (equalNames.has('/state')) spoil('/state', `the state has ${EQUAL_NAMES}`, state);
    else if (hasRaw && findRawNumber(state) !== undefined) spoil('/state', `the state has ${RAW_NUMBER}`, state);
    else if (known.badState === true) spoil('/state', REFUSED, state);
    else {
      stateText = storableJson(state);
      if (stateText === undefined) spoil('/state', 'the state has text that the database cannot hold', state);
    }
  }
  return {kind: 'good', state: stateText, records, bad, cmdAcks: cmdAcksOf(body.pull)};
};

const REFUSED = 'refused when it was received';
const NO_EQUAL_NAMES: ReadonlyMap<string, EqualNames> = new Map();
const EQUAL_NAMES = 'two members of one name';
const RAW_NUMBER = 'a number that an IEEE double cannot hold';

/** The record, or the sentence that says what is wrong with it. */
const parseRecord = (value: unknown, ordinal: number, hasRaw: boolean): ParsedRecord | string => {
  if (!isObject(value)) return 'a record must be an object';
  const {s: seq, k: kind, t: time, d: data} = value;
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 0) return '"s" must be a whole number from 0';
  if (typeof kind !== 'string' || !isStorableText(kind)) return '"k" must be text without NUL';
  const hasTime = time !== undefined && time !== null;
  if (hasTime && typeof time !== 'number' && !isRawNumber(time)) return '"t" must be milliseconds since 1970';
  if (hasRaw && findRawNumber(data) !== undefined) return `"d" has ${RAW_NUMBER}`;
  const text = data === undefined ? undefined : storableJson(data);
  if (data !== undefined && text === undefined) return '"d" has text that the database cannot hold';
  // A reading is worth more than its time, and there is the time at which it was received.
  const timeMs = typeof time === 'number' && time >= EARLIEST_MS && time < LATEST_MS ? time : undefined;
  return {ordinal, seq, kind, timeMs, badTime: hasTime && timeMs === undefined, data: text};
};
