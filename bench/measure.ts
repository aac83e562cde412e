import {readFileSync} from 'node:fs';
import {processTimes} from './process-times.ts';

/** One timed piece of work. */
export interface Sample {
  readonly perSecond: number;
  /** Processor time of our own processes (client side and services, not the servers') for one unit, in microseconds. */
  readonly cpuMicros: number;
}

/** Median of the rounds, and how far they lay apart. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @throws RangeError when there are no values. */
export const spreadOf = (values: readonly number[]): Spread => {
  const sorted = [...values].sort((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  if (min === undefined || max === undefined || upper === undefined || lower === undefined) {
    throw new RangeError('nothing was measured');
  }
  return {median: (lower + upper) / 2, min, max};
};

export interface Measured {
  readonly rate: Spread;
  readonly cpuMicros: Spread;
}

export const summarise = (samples: readonly Sample[]): Measured => ({
  rate: spreadOf(samples.map(({perSecond}) => perSecond)),
  cpuMicros: spreadOf(samples.map(({cpuMicros}) => cpuMicros)),
});

/** Each round's own ratio: what disturbed the machine in that round disturbed both sides. */
export const ratios = (ours: readonly Sample[], theirs: readonly Sample[]): Spread =>
  spreadOf(
    ours.flatMap(({perSecond}, round) => {
      const other = theirs[round];
      return other === undefined ? [] : [perSecond / other.perSecond];
    }),
  );

type Measures = Readonly<Record<string, () => Promise<Sample>>>;
type SamplesOf<M extends Measures> = {readonly [K in keyof M]: readonly Awaited<ReturnType<M[K]>>[]};

/** Things that are compared, each measured once a round; every other round runs backwards, so that none is always first. */
export const interleave = async <M extends Measures>(
  rounds: number,
  measures: M,
  onSample: (round: number, name: string, sample: Sample) => void,
): Promise<SamplesOf<M>> => {
  const all = Object.entries(measures).map(([name, measure]) => ({name, measure, samples: new Array<Sample>()}));
  for (let round = 0; round < rounds; round++) {
    for (const {name, measure, samples} of round % 2 === 0 ? all : all.toReversed()) {
      const sample = await measure();
      samples.push(sample);
      onSample(round, name, sample);
    }
  }
  // Made from the entries of `measures`, so it has exactly its keys, which Object.fromEntries forgets.
  return Object.fromEntries(all.map(({name, samples}) => [name, samples])) as unknown as SamplesOf<M>;
};

/** Processor time that a process has used so far, user and system, in microseconds. @throws when it is gone or this is not Linux. */
const processMicros = (pid: number): number => processTimes(readFileSync(`/proc/${pid}/stat`, 'utf8')).own;

/** Times `work`, which says how many units it did. `pids` are the processes whose processor time counts besides this one. */
export const time = async (pids: readonly number[], work: () => Promise<number>): Promise<Sample> => {
  const all = [process.pid, ...pids];
  const micros = (): number => all.reduce((sum, pid) => sum + processMicros(pid), 0);
  const cpuBefore = micros();
  const startMs = performance.now();
  const units = await work();
  const seconds = (performance.now() - startMs) / 1000;
  return {perSecond: units / seconds, cpuMicros: (micros() - cpuBefore) / units};
};
