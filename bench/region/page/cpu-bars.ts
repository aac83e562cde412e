/** What the bars of processor time are made of: the medians of a side's rounds, process by process, one after the other. */
import {type Spread, spreadOf} from '../../measure.ts';
import {type RegionReport} from '../report.ts';
import {cpuSum, processesOf, runsOf, valuesOf} from './summary.ts';
import {processColour} from './theme.ts';

/** All processes that have no colour of their own. */
export const REST = 'small ones';

interface Segment {
  readonly side: string;
  readonly process: string;
  /** Microseconds. */
  readonly from: number;
  readonly to: number;
}
export interface Bar {
  readonly side: string;
  readonly segments: readonly Segment[];
  readonly end: number;
  readonly sum: Spread;
}
export interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
  /** Of these bars, or of those of all panels where they share a scale. */
  readonly longest: number;
}
export interface Panels {
  readonly panels: readonly Panel[];
  readonly shared: boolean;
}

/** Scenarios within this factor share a scale; else bars of the small ones would be too short to read. */
const COMPARABLE = 4;

const barOf = (report: RegionReport, side: string, scenario: string): Bar | undefined => {
  const runs = runsOf(report, side, scenario);
  const sums = valuesOf(runs, cpuSum);
  if (sums.length === 0) return undefined;
  const medians = new Map<string, number>();
  let rest = 0;
  for (const process of processesOf(runs)) {
    const {median} = spreadOf(valuesOf(runs, ({cpuMicros}) => cpuMicros[process] ?? 0));
    if (processColour(process) === undefined) rest += median;
    else medians.set(process, median);
  }
  if (rest > 0) medians.set(REST, rest);
  let end = 0;
  const segments = [...medians].map(([process, micros]) => ({side, process, from: end, to: (end += micros)}));
  return {side, segments, end, sum: spreadOf(sums)};
};

/** One a scenario that says anything of processor time. */
export const panelsOf = (report: RegionReport): Panels => {
  const panels = report.scenarios
    .map(({name, title}) => {
      const bars = report.sides.map((side) => barOf(report, side.name, name)).filter((bar) => bar !== undefined);
      return {title, bars, longest: Math.max(...bars.map(({end}) => end))};
    })
    .filter(({longest}) => longest > 0);
  const all = panels.map(({longest}) => longest);
  const most = Math.max(...all);
  const shared = most <= COMPARABLE * Math.min(...all);
  return {panels: panels.map((panel) => ({...panel, longest: shared ? most : panel.longest})), shared};
};
