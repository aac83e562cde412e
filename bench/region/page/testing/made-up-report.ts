/** A report that nobody measured: plausible, and the same every time. */
import {type RegionReport, type RegionRun} from '../../report.ts';

/** mulberry32, a small generator of even numbers between 0 and 1 (https://gist.github.com/tommyettinger/46a874533244883189143505d203312c). */
const randomFrom = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};

interface Shape {
  readonly name: string;
  readonly title: string;
  /** Null: all at once. */
  readonly perSecond: number | null;
  readonly count: number;
  /** Of a sync, or an enrolment, in microseconds, and the milliseconds until one is accepted that does not wait. */
  readonly cpu: number;
  readonly alone: number;
  readonly autoscaled?: boolean;
}
const paced = (perSecond: number, seconds: number, autoscaled = false): Shape => ({
  name: `${perSecond}-${autoscaled ? 'autoscaled' : 'fixed'}`,
  title: `${perSecond} syncs/s, ${autoscaled ? 'autoscaling on (default)' : 'autoscaling off'}`,
  perSecond,
  count: perSecond * seconds,
  cpu: 2400,
  alone: 9,
  autoscaled,
});
const SHAPES: readonly Shape[] = [
  {name: 'enrolment', title: 'enrolment, 100 a second', perSecond: 100, count: 1000, cpu: 11_000, alone: 31},
  {name: 'day', title: 'a steady day of 50,000 devices', perSecond: 0.58, count: 12, cpu: 38_000, alone: 8},
  paced(333, 20),
  paced(700, 20),
  paced(1000, 20),
  {name: 'herd', title: '3000 devices at once', perSecond: null, count: 3000, cpu: 2200, alone: 12},
  paced(700, 45, true),
];
/** Of the processor time. */
const SHARES: Readonly<Record<string, number>> = {
  'device-api': 0.27,
  worker: 0.17,
  postgres: 0.23,
  rabbitmq: 0.14,
  redis: 0.02,
  envoy: 0.08,
  keeper: 0.006,
  'admin-api': 0.004,
  operator: 0.005,
  kubernetes: 0.075,
  load: 0.13,
  other: 0.05,
};
/** Syncs a second that two pods take, and how much more each further one brings. */
const TAKES = 760;
const MORE = 0.3;

/** A queue: what is due joins it, and what the region takes leaves it. */
const timelineOf = (shape: Shape, factor: number, scaleUpAt: number, random: () => number): RegionRun['timeline'] => {
  const {perSecond, count, cpu, alone} = shape;
  const timeline: RegionRun['timeline'][number][] = [];
  let [due, queue] = [0, 0];
  for (let second = 0; due < count || queue > 0; second++) {
    const before = due;
    due = perSecond === null ? count : Math.min(count, Math.ceil(perSecond * (second + 1)));
    queue += due - before;
    const takes = ((TAKES * 2400) / cpu / factor) * (second < scaleUpAt ? 1 : 1 + MORE) * (0.9 + 0.2 * random());
    const done = Math.min(queue, Math.ceil(takes));
    queue -= done;
    const p50Ms = (alone * factor + (queue / takes) * 1000) * (0.9 + 0.2 * random());
    const waits = due === before ? {p50Ms: 0, p99Ms: 0} : {p50Ms, p99Ms: p50Ms * (2 + 3 * random() ** 3)};
    timeline.push({second, due: due - before, done, ...waits});
  }
  return timeline;
};

const runOf = (shape: Shape, side: string, round: number, factor: number, random: () => number): RegionRun => {
  const {name, perSecond, count, cpu, autoscaled} = shape;
  const scaleUpAt = autoscaled === true ? 20 + round + (factor < 1 ? 0 : 6) : Infinity;
  const timeline = timelineOf(shape, factor * (0.96 + 0.08 * random()), scaleUpAt, random);
  const waits = timeline.map(({p50Ms}) => p50Ms).filter((ms) => ms > 0);
  const middle = waits.toSorted((a, b) => a - b)[waits.length >> 1] ?? 0;
  const percentiles = (samples: number, ms: number) => ({
    count: samples,
    p50Ms: ms,
    p90Ms: ms * 1.8,
    p99Ms: ms * (3 + random()),
    p999Ms: ms * 9,
    maxMs: ms * 15,
  });
  const pods = (second: number) => ({second, deviceApi: second < scaleUpAt ? 2 : 3, worker: 2});
  return {
    side,
    round,
    scenario: name,
    duePerSecond: perSecond,
    done: count,
    failed: 0,
    retries: perSecond === null ? Math.round(200 * factor * (0.8 + 0.4 * random())) : 0,
    seconds: timeline.length - 0.01 * random(),
    sent: percentiles(count, 1),
    accept: percentiles(count, middle),
    applied: name === 'enrolment' ? null : percentiles(Math.min(count, 150), middle * 0.6 + 40),
    visible: name === 'enrolment' ? null : percentiles(Math.min(count, 8), middle * 0.3 + 800),
    cpuMicros: Object.fromEntries(
      Object.entries(SHARES).map(([process, share]) => {
        const changed = process === 'worker' || process === 'postgres' ? factor : 1;
        return [process, Math.round(cpu * share * changed * (0.95 + 0.1 * random()))];
      }),
    ),
    timeline,
    // Each change, and the end.
    pods: [0, scaleUpAt, timeline.length].filter((second) => second <= timeline.length).map(pods),
  };
};

/** Two sides, or one; three rounds of seven scenarios. */
export const madeUpReport = (sides: readonly string[] = ['before', 'now']): RegionReport => {
  const random = randomFrom(20_261_127);
  return {
    startedAt: '2026-11-27T22:04:11.532Z',
    machine: {
      processor: 'AMD EPYC',
      processors: 2,
      loadAverageBefore: [0.42, 0.61, 1.3],
      kernel: '6.18.44',
      kubernetes: 'v1.37.2',
    },
    rounds: 3,
    recordsPerSync: 20,
    profiled: false,
    sides: sides.map((name, i) => ({name, revision: i === sides.length - 1 ? 'adad5c034c+' : 'c312dbf8a5'})),
    scenarios: SHAPES.map(({name, title}) => ({name, title})),
    runs: [0, 1, 2].flatMap((round) =>
      SHAPES.flatMap((shape) =>
        sides.map((side, i) => runOf(shape, side, round, i === sides.length - 1 ? 0.82 : 1, random)),
      ),
    ),
  };
};
