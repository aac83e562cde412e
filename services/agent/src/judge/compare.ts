/**
 * The judgement itself, as a function of values: one device's claims against what the shards hold of it.
 *
 * acked ⊆ stored, stored ⊆ sent, nothing twice, state = highest applied, applied_through = contiguous prefix, counters = recount.
 */
import {batchKey, type BatchClaim, type DeviceClaims} from './claims.ts';

export interface StoredReceipt {
  readonly epoch: number;
  readonly batchSeq: number;
  readonly hash: string;
  readonly outcome: 'applied' | 'rejected';
  readonly recordCount: number;
}

/** The records of one batch, as rows. */
export interface StoredRecords {
  readonly rows: number;
  readonly distinct: number;
  /** recordsDigest of the rows. */
  readonly digest: string;
}

export interface StoredState {
  readonly epoch: number;
  readonly appliedThrough: number;
  readonly stateSeq: number;
  /** valueDigest of the state, null when there is none. */
  readonly digest: string | null;
  readonly recordsTotal: number;
  readonly syncsTotal: number;
}

/** A device on the shard that owns its slot. */
export interface StoredDevice {
  readonly shard: string;
  readonly receipts: readonly StoredReceipt[];
  /** By batchKey. */
  readonly records: ReadonlyMap<string, StoredRecords>;
  readonly state: StoredState | undefined;
  /** Keys of batches that have a row in quarantine. */
  readonly quarantined: ReadonlySet<string>;
}

export const FINDINGS = [
  /** Acked, and not (wholly) in a shard. */
  'lost',
  /** A record twice, or a device owned by two shards. */
  'duplicated',
  /** In a shard, and never sent. */
  'foreign',
  /** Stored content is not what was sent. */
  'altered',
  /** The device's state is not that of its highest applied batch. */
  'stateWrong',
  /** applied_through is not the contiguous prefix. */
  'prefixWrong',
  /** Totals are not the recount. */
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

const NO_RECORDS: StoredRecords = {rows: 0, distinct: 0, digest: ''};

/** @returns true when the stored batch is what was sent. */
const checkBatch = (claim: BatchClaim, receipt: StoredReceipt, records: StoredRecords, say: Say): boolean => {
  const name = `batch e${claim.epoch}/${claim.batchSeq}`;
  const sent = claim.contents.get(receipt.hash);
  if (sent === undefined) {
    say('altered', `${name}: the receipt has hash ${receipt.hash}, sent were ${[...claim.contents.keys()].join(', ')}`);
    return false;
  }
  const bad = claim.acked?.bad ?? sent.records - receipt.recordCount;
  const expected = sent.records - bad;
  let good = true;
  if (receipt.recordCount !== expected) {
    say('counterWrong', `${name}: the receipt counts ${receipt.recordCount} records, sent were ${expected} good ones`);
    good = false;
  }
  if (records.rows > records.distinct) {
    say('duplicated', `${name}: ${records.rows} record rows for ${records.distinct} numbers`);
    good = false;
  }
  if (records.distinct < expected) {
    say('lost', `${name}: ${records.distinct} of ${expected} records are in the shard`);
    good = false;
  } else if (records.distinct > expected) {
    say('foreign', `${name}: ${records.distinct} records are in the shard, ${expected} were sent`);
    good = false;
  } else if (good && bad === 0 && expected > 0 && records.digest !== sent.digest) {
    say('altered', `${name}: the records in the shard are not those that were sent`);
    good = false;
  }
  return good;
};

const checkState = (claims: DeviceClaims, stored: StoredDevice, say: Say): void => {
  const applied = stored.receipts.filter(({outcome}) => outcome === 'applied');
  const {state} = stored;
  if (applied.length === 0) return;
  if (state === undefined) {
    say('stateWrong', `${applied.length} batches are applied and there is no state row`);
    return;
  }
  const newestEpoch = Math.max(...applied.map(({epoch}) => epoch));
  const ofEpoch = applied.filter(({epoch}) => epoch === newestEpoch);
  const withState = ofEpoch.filter(({batchSeq, hash}) => {
    const sent = claims.get(batchKey(newestEpoch, batchSeq))?.contents.get(hash);
    return sent === undefined || sent.state !== null;
  });
  const highest = Math.max(...withState.map(({batchSeq}) => batchSeq));
  if (state.epoch !== newestEpoch || (withState.length > 0 && state.stateSeq !== highest)) {
    say(
      'stateWrong',
      `the state is of e${state.epoch}/${state.stateSeq}, the highest applied is e${newestEpoch}/${highest}`,
    );
  } else if (withState.length > 0) {
    const hash = withState.find(({batchSeq}) => batchSeq === highest)?.hash ?? '';
    const sent = claims.get(batchKey(newestEpoch, highest))?.contents.get(hash);
    if (sent !== undefined && sent.state !== state.digest) {
      say('stateWrong', `the state's content is not what batch e${newestEpoch}/${highest} carried`);
    }
  }
  const numbers = new Set(stored.receipts.filter(({epoch}) => epoch === state.epoch).map(({batchSeq}) => batchSeq));
  let prefix = 0;
  while (numbers.has(prefix + 1)) prefix += 1;
  if (state.appliedThrough !== prefix) {
    say(
      'prefixWrong',
      `applied_through is ${state.appliedThrough}, the contiguous prefix of e${state.epoch} ends at ${prefix}`,
    );
  }
  const recount = applied.reduce((sum, {recordCount}) => sum + recordCount, 0);
  if (state.recordsTotal !== recount) {
    say('counterWrong', `records_total is ${state.recordsTotal}, the receipts sum up to ${recount}`);
  }
  if (state.syncsTotal < applied.length) {
    say('counterWrong', `syncs_total is ${state.syncsTotal}, ${applied.length} batches are applied`);
  }
};

export const judgeDevice = (device: string, claims: DeviceClaims, places: readonly StoredDevice[]): DeviceJudgement => {
  const findings: Finding[] = [];
  const say: Say = (kind, detail) => findings.push({kind, device, detail});
  const acked = [...claims.values()].filter((claim) => claim.acked !== undefined);
  const [stored, second] = places;
  if (second !== undefined) say('duplicated', `owned by ${places.map(({shard}) => shard).join(' and ')}`);
  if (stored === undefined) {
    for (const {epoch, batchSeq} of acked) say('lost', `batch e${epoch}/${batchSeq}: no shard owns this device`);
    return {findings, acked: acked.length, applied: 0, unknownApplied: 0, recordRows: 0};
  }
  const receipts = new Map(stored.receipts.map((receipt) => [batchKey(receipt.epoch, receipt.batchSeq), receipt]));
  let applied = 0;
  let unknownApplied = 0;
  for (const [key, claim] of claims) {
    const receipt = receipts.get(key);
    if (receipt?.outcome === 'applied') {
      if (claim.acked !== undefined && receipt.hash !== claim.acked.hash) {
        say(
          'lost',
          `batch e${key.replace(':', '/')}: acked with hash ${claim.acked.hash}, the receipt has ${receipt.hash}`,
        );
      }
      const good = checkBatch(claim, receipt, stored.records.get(key) ?? NO_RECORDS, say);
      if (claim.acked === undefined) unknownApplied += 1;
      else if (good && receipt.hash === claim.acked.hash) applied += 1;
    } else if (claim.acked !== undefined) {
      const kind = receipt !== undefined || stored.quarantined.has(key) ? 'quarantined' : 'lost';
      say(kind, `batch e${key.replace(':', '/')}: acked, and there is no receipt that says applied`);
    }
  }
  // Epochs before the ledger's first are another story: the device was re-imaged since.
  const oldestEpoch = Math.min(...[...claims.values()].map(({epoch}) => epoch));
  for (const [key, {epoch}] of receipts) {
    if (epoch >= oldestEpoch && !claims.has(key)) say('foreign', `receipt e${key.replace(':', '/')} was never sent`);
  }
  for (const [key, {rows}] of stored.records) {
    if (!receipts.has(key)) say('foreign', `${rows} records of e${key.replace(':', '/')} have no receipt`);
  }
  checkState(claims, stored, say);
  const recordRows = [...claims.keys()].reduce((sum, key) => sum + (stored.records.get(key)?.rows ?? 0), 0);
  return {findings, acked: acked.length, applied, unknownApplied, recordRows};
};
