/** Compares ledgers with shards, device by device, in bounded memory. */
import type {Buckets} from './buckets.ts';
import type {Claims, DeviceClaims} from './claims.ts';
import {FINDINGS, judgeDevice, type Finding, type FindingKind, type StoredDevice} from './compare.ts';
import type {ShardReader} from './shard-reader.ts';

export interface Verdict extends Readonly<Record<FindingKind, number>> {
  readonly ok: boolean;
  readonly devices: number;
  /** Batches in the ledgers. */
  readonly batches: number;
  readonly acked: number;
  readonly applied: number;
  readonly unknownApplied: number;
  /** Rows in the shards. */
  readonly records: number;
  /** The first of them, for people. */
  readonly findings: readonly Finding[];
}

const FINDINGS_SHOWN = 20;
/** Devices read at once: by number, and by the records that they are expected to have. */
const CHUNK_DEVICES = 500;
const CHUNK_RECORDS = 50_000;

type Chunk = readonly (readonly [string, DeviceClaims])[];

function* chunksOf(claims: Claims): Generator<Chunk> {
  let chunk: [string, DeviceClaims][] = [];
  let records = 0;
  for (const [device, batches] of claims.devices) {
    chunk.push([device, batches]);
    for (const {contents} of batches.values()) for (const sent of contents.values()) records += sent.records;
    if (chunk.length < CHUNK_DEVICES && records < CHUNK_RECORDS) continue;
    yield chunk;
    chunk = [];
    records = 0;
  }
  if (chunk.length > 0) yield chunk;
}

const present = <T>(value: T | undefined): value is T => value !== undefined;

export const judge = async (ledgers: Buckets, shards: readonly ShardReader[]): Promise<Verdict> => {
  const counts = new Map<FindingKind, number>(FINDINGS.map((kind) => [kind, 0]));
  const shown: Finding[] = [];
  const sum = {devices: 0, batches: 0, acked: 0, applied: 0, unknownApplied: 0, records: 0};
  for await (const claims of ledgers.parts()) {
    for (const chunk of chunksOf(claims)) {
      const ids = chunk.map(([device]) => device);
      const stored = await Promise.all(shards.map((shard) => shard.read(ids)));
      for (const [device, batches] of chunk) {
        const places: StoredDevice[] = stored.map((shard) => shard.get(device)).filter(present);
        const judgement = judgeDevice(device, batches, places);
        sum.devices += 1;
        sum.batches += batches.size;
        sum.acked += judgement.acked;
        sum.applied += judgement.applied;
        sum.unknownApplied += judgement.unknownApplied;
        sum.records += judgement.recordRows;
        for (const finding of judgement.findings) {
          counts.set(finding.kind, (counts.get(finding.kind) ?? 0) + 1);
          if (shown.length < FINDINGS_SHOWN) shown.push(finding);
        }
      }
    }
  }
  const count = (kind: FindingKind): number => counts.get(kind) ?? 0;
  return {
    // Nothing claimed is nothing proved.
    ok: shown.length === 0 && sum.acked > 0,
    ...sum,
    lost: count('lost'),
    duplicated: count('duplicated'),
    foreign: count('foreign'),
    altered: count('altered'),
    stateWrong: count('stateWrong'),
    prefixWrong: count('prefixWrong'),
    counterWrong: count('counterWrong'),
    quarantined: count('quarantined'),
    findings: shown,
  };
};

/** @returns how many acked batches have no receipt yet. */
const missing = async (ledgers: Buckets, shards: readonly ShardReader[]): Promise<number> => {
  let count = 0;
  for await (const claims of ledgers.parts()) {
    for (const chunk of chunksOf(claims)) {
      const ids = chunk.map(([device]) => device);
      const applied = await Promise.all(shards.map((shard) => shard.appliedKeys(ids)));
      for (const [device, batches] of chunk) {
        for (const [key, {acked}] of batches) {
          if (acked.size > 0 && !applied.some((shard) => shard.get(device)?.has(key) === true)) count += 1;
        }
      }
    }
  }
  return count;
};

export interface WaitOptions {
  readonly deadlineMs: number;
  readonly pollMs: number;
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly progress: (missing: number | string) => void;
}

/** Waits until every acked batch has a receipt, at most until the deadline. A shard that is down is asked again. @returns how many are still missing. */
export const waitUntilApplied = async (
  ledgers: Buckets,
  shards: readonly ShardReader[],
  options: WaitOptions,
): Promise<number> => {
  for (;;) {
    const late = options.nowMs() >= options.deadlineMs;
    try {
      const count = await missing(ledgers, shards);
      options.progress(count);
      if (count === 0 || late) return count;
    } catch (error) {
      if (late) throw error;
      options.progress(error instanceof Error ? error.message : String(error));
    }
    await options.sleep(options.pollMs);
  }
};
