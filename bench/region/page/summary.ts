/** What the rounds of a report say together. */
import {type Percentiles} from '@pisync/agent/fleet/latency';
import {spreadOf} from '../../measure.ts';
import {type RegionReport, type RegionRun} from '../report.ts';

/** A figure of one run; undefined where this run has none. */
export type Figure = (run: RegionRun) => number | undefined;

export interface Measure {
  readonly name: string;
  readonly unit: string;
  /** Which way is better; undefined where neither is. */
  readonly better?: 'less' | 'more';
  readonly pick: Figure;
}

/** Nothing that was timed has no latency, rather than one of 0. */
export const latency = (of: Percentiles | null, p: 'p50Ms' | 'p99Ms'): number | undefined =>
  of === null || of.count === 0 ? undefined : of[p];

/** The columns of the first table. */
export const MEASURES: readonly Measure[] = [
  {name: 'due', unit: '1/s', pick: (run) => run.duePerSecond ?? undefined},
  {name: 'done', unit: '1/s', better: 'more', pick: (run) => run.done / run.seconds},
  {name: 'sent p99', unit: 'ms', pick: (run) => latency(run.sent, 'p99Ms')},
  {name: 'accept p50', unit: 'ms', better: 'less', pick: (run) => latency(run.accept, 'p50Ms')},
  {name: 'accept p99', unit: 'ms', better: 'less', pick: (run) => latency(run.accept, 'p99Ms')},
  {name: 'applied p99', unit: 'ms', better: 'less', pick: (run) => latency(run.applied, 'p99Ms')},
  {name: 'visible p99', unit: 'ms', better: 'less', pick: (run) => latency(run.visible, 'p99Ms')},
  {name: 'failed', unit: 'count', better: 'less', pick: (run) => run.failed},
  {name: 'retries', unit: 'count', better: 'less', pick: (run) => run.retries},
  {name: 'device-api', unit: 'pods at the end', pick: (run) => run.pods.at(-1)?.deviceApi},
  {name: 'worker', unit: 'pods at the end', pick: (run) => run.pods.at(-1)?.worker},
];

export const runsOf = ({runs}: RegionReport, side: string, scenario: string): readonly RegionRun[] =>
  runs.filter((run) => run.side === side && run.scenario === scenario).toSorted((a, b) => a.round - b.round);

/** The figure of each run that has one. Not a number (nothing done in no time) is none. */
export const valuesOf = (runs: readonly RegionRun[], pick: Figure): readonly number[] =>
  runs
    .map(pick)
    .filter((value) => value !== undefined)
    .filter(Number.isFinite);

/** What became of a figure between two sides; `percent` is of the medians, and lacks where the first one is 0. */
export type Change =
  | {readonly kind: 'not measured'}
  | {readonly kind: 'same'}
  | {readonly kind: 'one round' | 'within spread' | 'apart'; readonly percent: number | undefined};

/** Two sides are apart when every round of one is above every round of the other. */
export const changeOf = (before: readonly number[], now: readonly number[]): Change => {
  if (before.length === 0 || now.length === 0) return {kind: 'not measured'};
  const [a, b] = [spreadOf(before), spreadOf(now)];
  if (a.min === b.max && a.max === b.min) return {kind: 'same'};
  const percent = a.median === 0 ? undefined : (100 * (b.median - a.median)) / a.median;
  if (before.length === 1 || now.length === 1) return {kind: 'one round', percent};
  return {kind: a.max < b.min || b.max < a.min ? 'apart' : 'within spread', percent};
};

/**
 * How often two equal sides are apart by chance alone: of the 2n values, one side's are the n smallest or the n largest. That is the smallest
 * two-sided p of the Mann-Whitney test: 1 of 10 with 3 rounds, 1 of 126 with 5.
 */
export const chanceApart = (rounds: number): number => {
  let choices = 1;
  for (let i = 1; i <= rounds; i++) choices = (choices * (rounds + i)) / i;
  return 2 / choices;
};

/** No part of the region: the program that sends, and what nobody known used, whether the kernel for the region or something unrelated. */
export const OUTSIDE = [
  {process: 'load', title: 'the sender'},
  {process: 'other', title: 'all else'},
] as const;
const isOutside = (name: string): boolean => OUTSIDE.some(({process}) => process === name);
const PROCESSES = [
  'device-api',
  'worker',
  'postgres',
  'rabbitmq',
  'redis',
  'envoy',
  'keeper',
  'admin-api',
  'operator',
  'kubernetes',
];

/** The region's processes that any of these runs saw, in the order of a sync's way. */
export const processesOf = (runs: readonly RegionRun[]): readonly string[] => {
  const seen = new Set(runs.flatMap(({cpuMicros}) => Object.keys(cpuMicros)));
  for (const {process} of OUTSIDE) seen.delete(process);
  const known = PROCESSES.filter((name) => seen.delete(name));
  return [...known, ...[...seen].sort()];
};

/** Processor time of the region for one sync. */
export const cpuSum: Figure = ({cpuMicros}) =>
  Object.entries(cpuMicros).reduce((sum, [name, micros]) => (isOutside(name) ? sum : sum + micros), 0);
