/** What has to be true when the faults are over and the world has drained, whatever happened. One function a law; each says what breaks it. */
import {type AppliedNumbers, countApplied, isApplied} from '@pisync/worker/apply/applied-numbers';
import {type BrokerWorld} from '../broker.ts';
import {
  batchName,
  type DeviceRow,
  epochName,
  type KeptRow,
  type ReceiptRow,
  type RecordRow,
  type StateRow,
  type Tables,
} from '../shard/rows.ts';
import {contentName, type Ledger, ordinalOf} from './ledger.ts';

export type Law =
  | 'what was acked is stored'
  | 'what is stored was sent'
  | 'nothing twice'
  | 'the state is that of the highest batch'
  | 'the position is the set of receipts'
  | 'the sum of numbers is the count of syncs'
  | 'counters are the recount'
  | 'what is not applied is in quarantine'
  | 'no number is used twice'
  | 'a device begins an epoch when it is asked to'
  | 'every reading arrives'
  | 'no reading comes twice'
  | 'what is in hand is published once'
  | 'nothing waits for ever';

export interface Violation {
  readonly law: Law;
  readonly device: string | undefined;
  readonly detail: string;
}

/** A device, with all that its shard has of it. */
export interface Judged {
  readonly device: DeviceRow;
  readonly state: StateRow | undefined;
  readonly receipts: readonly ReceiptRow[];
  readonly records: readonly RecordRow[];
  readonly kept: readonly KeptRow[];
  readonly conflicts: number;
  readonly shadow: string | undefined;
  readonly epochs: ReadonlyMap<number, AppliedNumbers>;
  /** Its card went back in time, or there were two of it. */
  readonly wasCopied: boolean;
  /** How often it was asked for a new epoch. */
  readonly asked: number;
  readonly hasBrokerLost: boolean;
  readonly ledger: Ledger;
}

/** What was done to devices, by their ids, and to the broker. */
export interface WhatWasDone {
  readonly copied: ReadonlySet<string>;
  readonly asked: ReadonlyMap<string, number>;
  readonly broker: Pick<BrokerWorld, 'hasLost'>;
}

export const judgedDevices = (
  tables: Tables,
  ledger: Ledger,
  {copied, asked, broker}: WhatWasDone,
): readonly Judged[] =>
  Array.from(tables.devices.values(), (device) => {
    const isIts = ({deviceKey}: {readonly deviceKey: number}): boolean => deviceKey === device.deviceKey;
    const state = tables.states.get(device.deviceKey);
    const epochs = new Map<number, AppliedNumbers>();
    for (let epoch = 1; epoch <= device.epoch; epoch++) {
      const numbers = tables.epochs.get(epochName(device.deviceKey, epoch));
      if (numbers !== undefined) epochs.set(epoch, numbers);
    }
    // While its epoch is the row's, the row counts.
    if (state !== undefined) epochs.set(state.epoch, state.numbers);
    return {
      device,
      state,
      receipts: [...tables.receipts.values()].filter(isIts),
      records: tables.records.filter(isIts),
      kept: tables.kept.filter(isIts),
      conflicts: tables.conflicts.get(device.deviceKey) ?? 0,
      shadow: tables.shadows.get(device.deviceKey),
      epochs,
      wasCopied: copied.has(device.deviceId),
      asked: asked.get(device.deviceId) ?? 0,
      hasBrokerLost: broker.hasLost(),
      ledger,
    };
  });

type Findings = Iterable<string>;

/** After so many, contents under used numbers are only counted. */
export const MAX_KEPT = 20;

function* acked({device, receipts, records, kept, conflicts, hasBrokerLost, ledger}: Judged): Findings {
  const stored = new Set(records.map(({data}) => data));
  for (const {epoch, batchSeq, contentHash} of ledger.promises.get(device.deviceId)?.values() ?? []) {
    const ordinal = ordinalOf(epoch);
    const isIt = (row: ReceiptRow | KeptRow): boolean =>
      row.epoch === ordinal && row.batchSeq === batchSeq && row.contentHash.toString('hex') === contentHash;
    if (receipts.some(isIt) || kept.some((row) => row.kind !== 'record' && isIt(row))) continue;
    if (conflicts > MAX_KEPT) continue;
    // What the broker has lost may come under other numbers.
    const {readings = []} = ledger.sent.get(contentName(device.deviceId, ordinal, batchSeq, contentHash)) ?? {};
    if (hasBrokerLost && readings.length > 0 && readings.every((reading) => stored.has(reading))) continue;
    yield `batch ${epoch}/${batchSeq} got a 2xx and is nowhere`;
  }
}

function* sent({device, receipts, records, ledger}: Judged): Findings {
  for (const {epoch, batchSeq, contentHash, recordCount, badCount, outcome} of receipts) {
    const name = `batch e${epoch}/${batchSeq}`;
    const content = ledger.sent.get(contentName(device.deviceId, epoch, batchSeq, contentHash.toString('hex')));
    if (content === undefined) {
      yield `${name} has a receipt and was never sent with that content`;
      continue;
    }
    if (outcome === 'applied' && recordCount + badCount !== content.records)
      yield `${name} counts ${recordCount} records and ${badCount} bad ones, ${content.records} were sent`;
    const stored = records.filter((row) => row.epoch === epoch && row.batchSeq === batchSeq).length;
    if (stored < recordCount) yield `${name} has ${stored} of ${recordCount} records`;
  }
  const names = new Set(receipts.map(({epoch, batchSeq}) => `${epoch}/${batchSeq}`));
  for (const {epoch, batchSeq} of records)
    if (!names.has(`${epoch}/${batchSeq}`)) yield `a record of e${epoch}/${batchSeq} has no receipt`;
}

function* twice({receipts, records}: Judged): Findings {
  yield* repeated(
    receipts.map(({deviceKey, epoch, batchSeq}) => batchName(deviceKey, epoch, batchSeq)),
    'receipt',
  );
  yield* repeated(
    records.map(({deviceKey, epoch, batchSeq, ordinal}) => `${batchName(deviceKey, epoch, batchSeq)}#${ordinal}`),
    'record',
  );
}

function* repeated(names: readonly string[], what: string): Findings {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) yield `${what} ${name} is there twice`;
    seen.add(name);
  }
}

function* state({device, state: row, receipts, shadow, ledger}: Judged): Findings {
  if (row === undefined) return;
  const [highest] = receipts
    .filter(({outcome}) => outcome === 'applied')
    .map((receipt) => ({
      ...receipt,
      sent: ledger.sent.get(
        contentName(device.deviceId, receipt.epoch, receipt.batchSeq, receipt.contentHash.toString('hex')),
      )?.state,
    }))
    .filter((receipt) => receipt.sent !== undefined)
    .sort((a, b) => b.epoch - a.epoch || b.batchSeq - a.batchSeq);
  if (highest === undefined) return;
  const {epoch, batchSeq, sent: json} = highest;
  if (row.stateEpoch !== epoch || row.stateSeq !== batchSeq)
    yield `the state is of e${row.stateEpoch}/${row.stateSeq}, the highest that is applied is e${epoch}/${batchSeq}`;
  else if (shadow !== json)
    yield `the state of e${epoch}/${batchSeq} is ${shadow ?? 'missing'}, sent was ${json ?? ''}`;
}

function* position({state: row, receipts, epochs}: Judged): Findings {
  const newest = Math.max(0, ...receipts.map(({epoch}) => epoch));
  if (row !== undefined && receipts.length > 0 && row.epoch !== newest)
    yield `the row is of e${row.epoch}, the newest receipt of e${newest}`;
  const byEpoch = Map.groupBy(receipts, ({epoch}) => epoch);
  for (const epoch of new Set([...byEpoch.keys(), ...epochs.keys()])) {
    const numbers = epochs.get(epoch) ?? {through: 0, ahead: []};
    const stored = new Set((byEpoch.get(epoch) ?? []).map(({batchSeq}) => batchSeq));
    const missing = [...stored].filter((batchSeq) => !isApplied(numbers, batchSeq));
    if (missing.length > 0) yield `e${epoch} does not say that ${missing.join(', ')} are applied`;
    if (countApplied(numbers) > stored.size)
      yield `e${epoch} says that ${countApplied(numbers)} numbers are applied, and has ${stored.size} receipts`;
  }
}

function* sum({state: row, epochs}: Judged): Findings {
  const numbers = [...epochs.values()].reduce((total, one) => total + countApplied(one), 0);
  if (row !== undefined && row.syncsTotal !== numbers)
    yield `syncs_total is ${row.syncsTotal}, the numbers that are applied are ${numbers}`;
}

function* counters({state: row, receipts}: Judged): Findings {
  const recount = receipts.reduce((total, {recordCount}) => total + recordCount, 0);
  if (row !== undefined && row.recordsTotal !== recount)
    yield `records_total is ${row.recordsTotal}, receipts have ${recount}`;
  if (row !== undefined && row.syncsTotal !== receipts.length)
    yield `syncs_total is ${row.syncsTotal}, there are ${receipts.length} receipts`;
}

function* quarantine({receipts, kept}: Judged): Findings {
  for (const {epoch, batchSeq, outcome, badCount} of receipts) {
    const its = kept.filter((row) => row.epoch === epoch && row.batchSeq === batchSeq);
    const bad = its.filter(({kind}) => kind === 'record').length;
    if (bad !== badCount) yield `e${epoch}/${batchSeq} has ${badCount} bad records, in quarantine are ${bad}`;
    const rejection = its.find(({kind}) => kind === 'batch');
    if (outcome === 'rejected') {
      yield rejection === undefined
        ? `e${epoch}/${batchSeq} was rejected and is not in quarantine`
        : `e${epoch}/${batchSeq} is good and was rejected: ${rejection.reason}`;
    }
  }
}

/** A card that is the only one of its kind never gives out a number twice. */
function* numbers({kept, wasCopied}: Judged): Findings {
  if (wasCopied) return;
  for (const {kind, epoch, batchSeq} of kept)
    if (kind === 'conflict' || kind === 'unproved') yield `e${epoch}/${batchSeq} came with two contents (${kind})`;
}

/** A process that has not heard of the new epoch may ask again. */
const ASKED_AGAIN = 3;

function* epochs({device, wasCopied, asked}: Judged): Findings {
  if (!wasCopied && device.epoch > 1 + asked * ASKED_AGAIN)
    yield `it is at e${device.epoch}, and was asked ${asked} times for a new epoch`;
}

const LAWS: readonly (readonly [Law, (device: Judged) => Findings])[] = [
  ['what was acked is stored', acked],
  ['what is stored was sent', sent],
  ['nothing twice', twice],
  ['the position is the set of receipts', position],
  ['the sum of numbers is the count of syncs', sum],
  ['counters are the recount', counters],
  ['the state is that of the highest batch', state],
  ['what is not applied is in quarantine', quarantine],
  ['no number is used twice', numbers],
  ['a device begins an epoch when it is asked to', epochs],
];

export const judge = (device: Judged): readonly Violation[] =>
  LAWS.flatMap(([law, find]) => Array.from(find(device), (detail) => ({law, device: device.device.deviceId, detail})));
