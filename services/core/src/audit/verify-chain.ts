import {type AuditHead, type ChainedRow, isSameMac, macOf} from './audit-row.ts';

/** What does not fit together, and where. */
export type AuditFinding =
  /** The signature of rows of the chain is not what they say. */
  | {readonly kind: 'changed'; readonly fromSeq: number; readonly toSeq: number}
  /** Rows are gone from within the chain. The one behind cannot be judged. */
  | {readonly kind: 'removed'; readonly fromSeq: number; readonly toSeq: number}
  /** The chain ends before rows that it had. */
  | {readonly kind: 'cut'; readonly fromSeq: number; readonly toSeq: number}
  /** A row is another one than the head that was kept elsewhere says. */
  | {readonly kind: 'replaced'; readonly fromSeq: number; readonly toSeq: number}
  /** `control.audit_head` does not say where the chain ends. */
  | {readonly kind: 'head'}
  /** Entries that a shard has counted are neither in the chain nor do they wait for it. */
  | {readonly kind: 'missing'; readonly shard: number; readonly fromCounter: number; readonly toCounter: number}
  /** A shard counts from where it was before: it is an older copy, or another one. */
  | {readonly kind: 'set-back'; readonly shard: number; readonly fromCounter: number; readonly toCounter: number};

/** How far the chain was followed. */
export interface ChainPlace extends AuditHead {
  /** By shard, the counter of its last row. */
  readonly counters: ReadonlyMap<number, number>;
}

/** What a shard has counted, and what of it waits to be chained. */
export interface OutboxState {
  readonly shard: number;
  /** 0: it has written no entry yet. */
  readonly last: number;
  readonly pending: number;
  /** The lowest and highest counter that wait; null where none does. */
  readonly first: number | null;
  readonly highest: number | null;
  /** What is missing between these two. */
  readonly gaps: readonly (readonly [from: number, to: number])[];
}

interface Checked {
  readonly place: ChainPlace;
  readonly findings: readonly AuditFinding[];
}

/** Findings of rows that follow each other are one. */
const joined = (findings: readonly AuditFinding[]): readonly AuditFinding[] => {
  const all: AuditFinding[] = [];
  for (const finding of findings) {
    const last = all.at(-1);
    const goesOn = finding.kind === 'changed' && last?.kind === 'changed' && last.toSeq + 1 === finding.fromSeq;
    if (goesOn) all[all.length - 1] = {...last, toSeq: finding.toSeq};
    else all.push(finding);
  }
  return all;
};

/** Looks at rows that follow a place. @param expected a head that was kept elsewhere */
export const checkRows = (
  key: string,
  from: ChainPlace,
  rows: readonly ChainedRow[],
  expected?: AuditHead,
): Checked => {
  const findings: AuditFinding[] = [];
  const counters = new Map(from.counters);
  let before: AuditHead = from;
  for (const row of rows) {
    const {seq, shard, counter, mac} = row;
    if (seq > before.seq + 1) findings.push({kind: 'removed', fromSeq: before.seq + 1, toSeq: seq - 1});
    else if (!isSameMac(mac, macOf(key, before.mac, row))) findings.push({kind: 'changed', fromSeq: seq, toSeq: seq});
    if (expected?.seq === seq && !isSameMac(expected.mac, mac)) {
      findings.push({kind: 'replaced', fromSeq: seq, toSeq: seq});
    }
    const last = counters.get(shard) ?? 0;
    if (counter > last + 1) findings.push({kind: 'missing', shard, fromCounter: last + 1, toCounter: counter - 1});
    else if (counter <= last) findings.push({kind: 'set-back', shard, fromCounter: counter, toCounter: last});
    counters.set(shard, counter);
    before = {seq, mac};
  }
  return {place: {...before, counters}, findings: joined(findings)};
};

/** Looks at the end of the chain, where a place has come to it. @param head undefined where its row is gone */
export const checkEnd = (
  place: ChainPlace,
  head: AuditHead | undefined,
  expected?: AuditHead,
): readonly AuditFinding[] => {
  const end = Math.max(head?.seq ?? 0, expected?.seq ?? 0);
  const findings: AuditFinding[] = [];
  if (end > place.seq) findings.push({kind: 'cut', fromSeq: place.seq + 1, toSeq: end});
  const says =
    head !== undefined && (head.seq > place.seq || (head.seq === place.seq && isSameMac(head.mac, place.mac)));
  if (!says) findings.push({kind: 'head'});
  return findings;
};

/** Compares what a shard had counted, before the chain was read to its end, with what of it is there. */
export const checkOutbox = (
  {counters}: Pick<ChainPlace, 'counters'>,
  {shard, last, first, highest, gaps}: OutboxState,
): readonly AuditFinding[] => {
  const chained = counters.get(shard) ?? 0;
  if (last < chained) return [{kind: 'set-back', shard, fromCounter: last, toCounter: chained}];
  const missing =
    first === null || highest === null
      ? [[chained + 1, last] as const]
      : [[chained + 1, first - 1] as const, ...gaps, [highest + 1, last] as const];
  return missing
    .map(([from, to]) => [Math.max(from, chained + 1), to] as const)
    .filter(([from, to]) => from <= to)
    .map(([fromCounter, toCounter]) => ({kind: 'missing', shard, fromCounter, toCounter}));
};
