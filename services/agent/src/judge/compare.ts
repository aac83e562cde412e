/**
 * The judgement itself, as a function of values: one device's claims against what the shards hold of it.
 *
 * acked ⊆ stored, stored ⊆ sent, nothing twice, state = highest applied, numbers that are applied = numbers with a receipt, counters = recount = sum of the
 * numbers that are applied, and what could not be applied is in quarantine.
 */
import {appliedOf, countOf, nameOfApplied, NOTHING_APPLIED, type Applied} from './applied.ts';
import {batchKey, type Ack, type BatchClaim, type DeviceClaims} from './claims.ts';

export interface StoredReceipt {
  readonly epoch: number;
  readonly batchSeq: number;
  readonly hash: string;
  readonly outcome: 'applied' | 'rejected';
  readonly recordCount: number;
  readonly badCount: number;
}

/** The records of one batch, as rows. */
export interface StoredRecords {
  readonly rows: number;
  /** How many numbers they have. */
  readonly distinct: number;
  /** How many places in the batch they have. */
  readonly ordinals: number;
  /** The last of these places, from 0; -1 without rows. */
  readonly lastOrdinal: number;
  /** recordsDigest of the rows. */
  readonly digest: string;
}

export interface StoredState {
  readonly epoch: number;
  /** Of this epoch. */
  readonly applied: Applied;
  /** Of epochs that newer ones have replaced; absent: nothing. */
  readonly replaced: readonly {readonly epoch: number; readonly applied: Applied}[];
  /** The batch that the state came from. */
  readonly stateEpoch: number;
  readonly stateSeq: number;
  /** valueDigest of the state, null when there is none. */
  readonly digest: string | null;
  readonly recordsTotal: number;
  readonly syncsTotal: number;
}

/** What quarantine keeps of one batch, bytes included. */
export interface Quarantined {
  /** The whole of it, because it was rejected. */
  readonly isRejected: boolean;
  /** Hashes of contents that came under its number when that was used: others, or such that nobody could tell from it. */
  readonly refused: ReadonlySet<string>;
  /** Distinct parts of it, such as bad records. */
  readonly parts: number;
}

/** A device on the shard that owns its slot. */
export interface StoredDevice {
  readonly shard: string;
  readonly receipts: readonly StoredReceipt[];
  /** By batchKey. */
  readonly records: ReadonlyMap<string, StoredRecords>;
  readonly state: StoredState | undefined;
  /** By batchKey. */
  readonly quarantine: ReadonlyMap<string, Quarantined>;
  /** Records whose epoch and number a record of another batch has too. */
  readonly repeatedNumbers: number;
}

export const FINDINGS = [
  /** Acked, and not (wholly) in a shard. */
  'lost',
  /** A record or a receipt twice, or a device owned by two shards. */
  'duplicated',
  /** In a shard, and never sent. */
  'foreign',
  /** Stored content is not what was sent. */
  'altered',
  /** The device's state is not that of its highest applied batch. */
  'stateWrong',
  /** The numbers that the rows of a device say are applied are not those with a receipt. */
  'prefixWrong',
  /** Totals are not the recount, or not what the numbers that are applied sum up to; or bad records are not those that the device was told. */
  'counterWrong',
  /** Acked, and in quarantine instead of applied. */
  'quarantined',
] as const;
export type FindingKind = (typeof FINDINGS)[number];

export interface Finding {
  readonly kind: FindingKind;
  readonly device: string;
  readonly detail: string;
}

export interface DeviceJudgement {
  readonly findings: readonly Finding[];
  readonly acked: number;
  /** Acked batches that are in a shard as they were sent. */
  readonly applied: number;
  /** Batches without a 2xx that are in a shard nevertheless: allowed, because unknown means unknown. */
  readonly unknownApplied: number;
  /** Rows of the batches in the ledger. */
  readonly recordRows: number;
}

type Say = (kind: FindingKind, detail: string) => void;

const NO_RECORDS: StoredRecords = {rows: 0, distinct: 0, ordinals: 0, lastOrdinal: -1, digest: ''};
const NOTHING: Quarantined = {isRejected: false, refused: new Set(), parts: 0};

const nameOf = ({epoch, batchSeq}: {readonly epoch: number; readonly batchSeq: number}): string =>
  `batch e${epoch}/${batchSeq}`;

/** @returns true when the stored batch is what was sent. */
const checkApplied = (
  claim: BatchClaim,
  receipt: StoredReceipt,
  records: StoredRecords,
  {parts}: Quarantined,
  findings: Say,
): boolean => {
  const name = nameOf(claim);
  const said: FindingKind[] = [];
  const say: Say = (kind, detail) => {
    said.push(kind);
    findings(kind, `${name}: ${detail}`);
  };
  const sent = claim.contents.get(receipt.hash);
  if (sent === undefined) {
    say('altered', `the receipt has hash ${receipt.hash}, sent were ${[...claim.contents.keys()].join(', ')}`);
    return false;
  }
  const {recordCount, badCount} = receipt;
  // A batch without a 2xx may have bad records that the device was not told; they have to be somewhere all the same.
  const ack: Ack | undefined = claim.acked.get(receipt.hash);
  if (ack !== undefined && ack.bad !== null && ack.bad !== badCount) {
    say('counterWrong', `${badCount} records are put aside as bad, the device was told ${ack.bad}`);
  }
  if (recordCount + badCount !== sent.records) {
    say(
      'counterWrong',
      `the receipt counts ${recordCount} records and ${badCount} bad ones, sent were ${sent.records}`,
    );
  }
  if (parts < badCount) say('lost', `${parts} of ${badCount} bad records are in quarantine`);
  const expected = sent.records - (ack?.bad ?? badCount);
  if (records.rows > Math.min(records.distinct, records.ordinals)) {
    say('duplicated', `${records.rows} record rows for ${records.distinct} numbers and ${records.ordinals} places`);
  }
  if (records.lastOrdinal >= sent.records) {
    say('altered', `a record has the place ${records.lastOrdinal} of ${sent.records}, counted from 0`);
  }
  if (records.distinct < expected) say('lost', `${records.distinct} of ${expected} records are in the shard`);
  if (records.distinct > expected)
    say('foreign', `${records.distinct} records are in the shard, ${expected} were sent`);
  const digest = expected === sent.records ? sent.digest : ack?.good;
  if (said.length === 0 && expected > 0 && typeof digest === 'string' && records.digest !== digest) {
    say('altered', 'the records in the shard are not those that were sent');
  }
  return said.length === 0;
};

/** What the rows of a device say is applied, epoch by epoch, against its receipts. */
const checkNumbers = ({epoch, applied, replaced}: StoredState, receipts: readonly StoredReceipt[], say: Say): void => {
  const received = new Map<number, Set<number>>();
  for (const receipt of receipts) {
    received.set(receipt.epoch, (received.get(receipt.epoch) ?? new Set()).add(receipt.batchSeq));
  }
  const told = new Map([...replaced, {epoch, applied}].map((one) => [one.epoch, one.applied]));
  for (const one of new Set([...told.keys(), ...received.keys()])) {
    const is = nameOfApplied(told.get(one) ?? NOTHING_APPLIED);
    const expected = nameOfApplied(appliedOf(received.get(one) ?? new Set()));
    if (is !== expected)
      say('prefixWrong', `what is applied of e${one} is told as ${is}, there are receipts ${expected}`);
  }
  for (const one of replaced) {
    if (one.epoch >= epoch) say('prefixWrong', `e${one.epoch} counts as replaced, and the position is of e${epoch}`);
  }
};

/** What the receipts tell of a device's row. Needs all of them, of every day. */
const checkPosition = (state: StoredState, receipts: readonly StoredReceipt[], say: Say): void => {
  const newest = Math.max(0, ...receipts.map(({epoch}) => epoch));
  if (receipts.length > 0 && state.epoch !== newest) {
    say('stateWrong', `the position is of e${state.epoch}, the newest epoch with a receipt is e${newest}`);
  }
  checkNumbers(state, receipts, say);
  const recount = receipts.reduce((sum, {recordCount, outcome}) => sum + (outcome === 'applied' ? recordCount : 0), 0);
  if (state.recordsTotal !== recount) {
    say('counterWrong', `records_total is ${state.recordsTotal}, the receipts sum up to ${recount}`);
  }
  if (state.syncsTotal !== receipts.length) {
    say('counterWrong', `syncs_total is ${state.syncsTotal}, there are ${receipts.length} receipts`);
  }
};

/** Needs no receipt, so it also tells that a batch of days that are gone was counted twice, or that its number was forgotten. */
export const checkSums = (
  {applied, replaced, syncsTotal}: Pick<StoredState, 'applied' | 'replaced' | 'syncsTotal'>,
  say: Say,
): void => {
  const sum = replaced.reduce((total, one) => total + countOf(one.applied), countOf(applied));
  if (syncsTotal !== sum) say('counterWrong', `syncs_total is ${syncsTotal}, and ${sum} numbers are applied`);
};

const checkState = (claims: DeviceClaims, state: StoredState, applied: readonly StoredReceipt[], say: Say): void => {
  const contentOf = ({epoch, batchSeq, hash}: StoredReceipt) =>
    claims.get(batchKey(epoch, batchSeq))?.contents.get(hash);
  // Of a batch that the ledger does not name nobody knows whether it brought a state.
  const [highest] = applied
    .filter((receipt) => contentOf(receipt)?.state !== null)
    .sort((a, b) => b.epoch - a.epoch || b.batchSeq - a.batchSeq);
  const is = `the state is of e${state.stateEpoch}/${state.stateSeq}`;
  if (highest === undefined) {
    if (state.digest !== null) say('stateWrong', `${is}, and no batch that brought one is applied`);
    return;
  }
  if (state.stateEpoch !== highest.epoch || state.stateSeq !== highest.batchSeq) {
    say('stateWrong', `${is}, the highest applied is e${highest.epoch}/${highest.batchSeq}`);
    return;
  }
  const sent = contentOf(highest);
  if (sent !== undefined && sent.state !== state.digest) {
    say('stateWrong', `the state's content is not what ${nameOf(highest)} carried`);
  }
};

/** What was promised and is not applied: in quarantine, where a person sees it, or nowhere. */
const checkPromises = (claim: BatchClaim, receipt: StoredReceipt | undefined, kept: Quarantined, say: Say): void => {
  for (const hash of claim.acked.keys()) {
    if (receipt?.hash === hash && receipt.outcome === 'applied') continue;
    const isOther = receipt !== undefined && receipt.hash !== hash;
    const isKept = kept.refused.has(hash) || (!isOther && kept.isRejected);
    const what = isOther ? `the receipt has ${receipt.hash}` : 'there is no receipt that says applied';
    say(isKept ? 'quarantined' : 'lost', `${nameOf(claim)}: acked with hash ${hash}, and ${what}`);
  }
};

export const judgeDevice = (device: string, claims: DeviceClaims, places: readonly StoredDevice[]): DeviceJudgement => {
  const findings: Finding[] = [];
  const say: Say = (kind, detail) => findings.push({kind, device, detail});
  const acked = [...claims.values()].filter((claim) => claim.acked.size > 0);
  const [stored, second] = places;
  if (second !== undefined) say('duplicated', `owned by ${places.map(({shard}) => shard).join(' and ')}`);
  if (stored === undefined) {
    for (const claim of acked) say('lost', `${nameOf(claim)}: no shard owns this device`);
    return {findings, acked: acked.length, applied: 0, unknownApplied: 0, recordRows: 0};
  }
  const receipts = new Map(stored.receipts.map((receipt) => [batchKey(receipt.epoch, receipt.batchSeq), receipt]));
  // A day's key does not see the receipts of other days.
  for (const receipt of stored.receipts) {
    const isCopy = receipts.get(batchKey(receipt.epoch, receipt.batchSeq)) !== receipt;
    if (isCopy) say('duplicated', `${nameOf(receipt)}: it has one more receipt, of another day`);
  }
  let applied = 0;
  let unknownApplied = 0;
  for (const [key, claim] of claims) {
    const receipt = receipts.get(key);
    const kept = stored.quarantine.get(key) ?? NOTHING;
    checkPromises(claim, receipt, kept, say);
    if (receipt?.outcome !== 'applied') continue;
    const good = checkApplied(claim, receipt, stored.records.get(key) ?? NO_RECORDS, kept, say);
    if (claim.acked.size === 0) unknownApplied += 1;
    else if (good && claim.acked.has(receipt.hash)) applied += 1;
  }
  // Epochs before the ledger's first are another story: the device was re-imaged since.
  const oldestEpoch = Math.min(...[...claims.values()].map(({epoch}) => epoch));
  for (const [key, receipt] of receipts) {
    if (receipt.epoch >= oldestEpoch && !claims.has(key)) say('foreign', `${nameOf(receipt)}: it was never sent`);
  }
  for (const [key, {rows}] of stored.records) {
    const receipt = receipts.get(key);
    const name = `e${key.replace(':', '/')}`;
    if (receipt === undefined) say('foreign', `${rows} records of ${name} have no receipt`);
    else if (receipt.outcome === 'rejected') say('foreign', `${rows} records of ${name}, which was rejected`);
  }
  if (stored.repeatedNumbers > 0) say('duplicated', `${stored.repeatedNumbers} numbers of records are in two batches`);
  if (stored.state !== undefined) {
    checkPosition(stored.state, stored.receipts, say);
    checkSums(stored.state, say);
    checkState(
      claims,
      stored.state,
      stored.receipts.filter(({outcome}) => outcome === 'applied'),
      say,
    );
  } else if (stored.receipts.length > 0) {
    say('stateWrong', `there are ${stored.receipts.length} receipts and no state row`);
  }
  const recordRows = [...claims.keys()].reduce((sum, key) => sum + (stored.records.get(key)?.rows ?? 0), 0);
  return {findings, acked: acked.length, applied, unknownApplied, recordRows};
};
