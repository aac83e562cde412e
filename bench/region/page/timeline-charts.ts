/** What happened second by second in one scenario: a thin line a round, a colour a side. */
import {type TopLevelSpec} from 'vega-lite';
import {type Chart} from './chart.ts';
import {type RegionReport, type RegionRun} from '../report.ts';
import {runsOf} from './summary.ts';
import {sideColour} from './theme.ts';

type Second = RegionRun['timeline'][number];

/** Two stand beside each other on a screen, and below each other on a phone. */
const WIDTH = 330;
const HEIGHT = 150;

/** The marks of a logarithmic axis that holds all these values: 1, 2 and 5 of each decade; powers of ten alone where that would be many. */
export const logTicks = (values: readonly number[]): readonly [number, number, ...number[]] => {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const ticks = (steps: readonly number[]): readonly number[] => {
    const all: number[] = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const step of steps) all.push(Number(`${step}e${power}`));
    }
    const first = all.findLastIndex((tick) => tick <= low);
    const last = all.findIndex((tick) => tick >= high);
    return all.slice(first, last + 1);
  };
  const [fine, coarse] = [ticks([1, 2, 5]), ticks([1])];
  const [a, b, ...more] = fine.length > 8 ? coarse : fine;
  // All values may be one tick: an axis needs two.
  return a === undefined ? [1, 10] : b === undefined ? [a, a * 10] : [a, b, ...more];
};

const lineOf = ({side, round}: RegionRun): string => `${side} ${round}`;
const MARK = {type: 'line', strokeWidth: 1.3, opacity: 0.8, strokeJoin: 'round'} as const;

const secondsAxis = (runs: readonly RegionRun[]) => {
  const last = Math.max(1, ...runs.flatMap(({timeline, pods}) => [...timeline, ...pods].map(({second}) => second)));
  const domain = [0, last];
  return {
    field: 'second',
    type: 'quantitative',
    title: 'seconds since the first was due',
    axis: {tickCount: 6, tickMinStep: 1, grid: false},
    scale: {domain, nice: false},
  } as const;
};

const colourOf = ({sides}: RegionReport) =>
  ({
    field: 'side',
    type: 'nominal',
    legend: null,
    scale: {domain: sides.map(({name}) => name), range: sides.map((_, i) => sideColour(i, sides.length))},
  }) as const;

const timedAt = ({timeline}: RegionRun, i: number): boolean => (timeline[i]?.p50Ms ?? 0) > 0;

const latency = (
  report: RegionReport,
  title: string,
  runs: readonly RegionRun[],
  p: 'p50Ms' | 'p99Ms',
  ticks: readonly [number, number, ...number[]],
): Chart => ({
  title: `${title}: accept ${p === 'p50Ms' ? 'p50' : 'p99'} in ms by second`,
  reading:
    p === 'p50Ms'
      ? 'Half of those due in a second were accepted within this: lower is better, and equal heights are equal factors.'
      : 'One of a hundred due in a second waited longer than this: how far it lies above the p50 is what the unlucky see.',
  spec: {
    title: p === 'p50Ms' ? 'accept p50' : 'accept p99',
    width: WIDTH,
    height: HEIGHT,
    data: {
      values: runs.flatMap((run) =>
        // A second in which nothing was due has no latency: the line has a gap there.
        run.timeline.map((at, i) => ({
          second: at.second,
          ms: at[p] > 0 ? at[p] : null,
          isAlone: !timedAt(run, i - 1) && !timedAt(run, i + 1),
          side: run.side,
          line: lineOf(run),
        })),
      ),
    },
    layer: [
      {mark: MARK},
      {mark: {type: 'point', filled: true, size: 14}, transform: [{filter: 'datum.isAlone && datum.ms !== null'}]},
    ],
    encoding: {
      x: secondsAxis(runs),
      y: {
        field: 'ms',
        type: 'quantitative',
        title: 'ms, log scale',
        scale: {type: 'log', domain: [ticks[0], ticks.at(-1) ?? ticks[1]]},
        axis: {values: [...ticks], format: ',~g'},
      },
      color: colourOf(report),
      detail: {field: 'line'},
    },
  },
});

/** Whether a rate was asked for. */
export const isPaced = (runs: readonly RegionRun[]): boolean => runs.some((run) => run.duePerSecond !== null);

const rate = (report: RegionReport, title: string, runs: readonly RegionRun[]): Chart => {
  const lines = (pick: (at: Second) => number, of: readonly RegionRun[]) =>
    of.flatMap((run) =>
      run.timeline.map((at) => ({second: at.second, count: pick(at), side: run.side, line: lineOf(run)})),
    );
  const y = {
    field: 'count',
    type: 'quantitative',
    title: 'per second',
    axis: {tickCount: 5, tickMinStep: 1, format: ',d'},
  } as const;
  return {
    title: `${title}: done a second, and due`,
    reading: isPaced(runs)
      ? 'Below the dashed line the region falls behind what is due; above it, it catches up.'
      : 'All were due at once: so many a second the region takes, and the sooner a line ends the better.',
    spec: {
      title: isPaced(runs) ? 'done and due' : 'done',
      width: WIDTH,
      height: HEIGHT,
      encoding: {x: secondsAxis(runs), y},
      layer: [
        {
          data: {values: lines(({done}) => done, runs)},
          mark: MARK,
          encoding: {color: colourOf(report), detail: {field: 'line'}},
        },
        {
          // The pace is the same in every round.
          data: {values: isPaced(runs) ? lines(({due}) => due, runs.slice(0, 1)) : []},
          mark: {type: 'line', interpolate: 'step-after', strokeWidth: 1.5, strokeDash: [5, 4], color: 'var(--ink)'},
        },
      ],
    },
  };
};

const pods = (report: RegionReport, title: string, runs: readonly RegionRun[]): Chart => {
  const most = Math.max(1, ...runs.flatMap((run) => run.pods.flatMap(({deviceApi, worker}) => [deviceApi, worker])));
  const one = (name: string, pick: (at: RegionRun['pods'][number]) => number) => ({
    title: name,
    width: WIDTH,
    height: 46,
    // Sides that have as many pods lie beside each other, two pixels apart.
    layer: report.sides.map((side, i) => ({
      data: {
        values: runs
          .filter((run) => run.side === side.name)
          .flatMap((run) =>
            run.pods.map((at) => ({second: at.second, pods: pick(at), side: run.side, line: lineOf(run)})),
          ),
      },
      mark: {...MARK, interpolate: 'step-after' as const, yOffset: 2 * i},
      encoding: {
        x: {...secondsAxis(runs), ...(name === 'worker pods' ? {} : {title: null})},
        y: {
          field: 'pods',
          type: 'quantitative' as const,
          title: 'pods',
          scale: {domain: [0, most], nice: false},
          axis: {format: 'd', tickMinStep: 1, tickCount: 3},
        },
        color: colourOf(report),
        detail: {field: 'line'},
      },
    })),
  });
  return {
    title: `${title}: ready pods of device-api and worker by second`,
    reading: 'Each step is a pod that became ready or went: see whether the latency above falls again where one comes.',
    spec: {
      spacing: 14,
      vconcat: [one('device-api pods', ({deviceApi}) => deviceApi), one('worker pods', ({worker}) => worker)],
    } satisfies TopLevelSpec,
  };
};

/** The plots of a scenario; none where nothing was recorded by the second. */
export const timelineCharts = (report: RegionReport, scenario: RegionReport['scenarios'][number]): readonly Chart[] => {
  const runs = report.sides.flatMap(({name}) => runsOf(report, name, scenario.name));
  const latencies = runs.flatMap(({timeline}) => timeline.flatMap(({p50Ms, p99Ms}) => [p50Ms, p99Ms]));
  const positive = latencies.filter((ms) => ms > 0);
  const {title} = scenario;
  const timed = runs.some(({timeline}) => timeline.length > 0);
  // Latencies are told by the second in which something was due: where that is one second, the table says all.
  const isSeries = runs.some((run) => run.timeline.filter((_, i) => timedAt(run, i)).length > 1);
  return [
    ...(isSeries ? (['p50Ms', 'p99Ms'] as const).map((p) => latency(report, title, runs, p, logTicks(positive))) : []),
    ...(timed ? [rate(report, title, runs)] : []),
    ...(runs.some((run) => run.pods.length > 0) ? [pods(report, title, runs)] : []),
  ];
};
