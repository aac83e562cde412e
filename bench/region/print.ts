import {type Percentiles} from '@pisync/agent/fleet/latency';
import {type Spread, spreadOf} from '../measure.ts';
import {cpuSum, type Figure, latency, runsOf, valuesOf} from './page/summary.ts';
import {type RegionReport, type RegionRun} from './report.ts';
import {type Verdict} from './verdict.ts';

const ms = (value: number): string => value.toFixed(value < 100 ? 1 : 0);
const short = (percentiles: Percentiles | null): string =>
  percentiles === null || percentiles.count === 0 ? '–' : `${ms(percentiles.p50Ms)}, ${ms(percentiles.p99Ms)}`;

/** One line while it runs. */
export const runLine = ({
  done,
  seconds,
  retries,
  failed,
  sent,
  accept,
  applied,
  visible,
  pods,
  cpuMicros,
}: Omit<RegionRun, 'side' | 'round'>): string => {
  const last = pods.at(-1);
  const cpu = Object.entries(cpuMicros)
    .toSorted(([, a], [, b]) => b - a)
    .map(([part, micros]) => `${part} ${micros}`)
    .join(', ');
  return (
    `${Math.round(done / seconds)}/s; ms p50, p99: sent ${short(sent)}; accepted ${short(accept)}; applied ${short(applied)}; visible ${short(visible)}; ` +
    `${retries} retries, ${failed} failed; pods ${last?.deviceApi ?? 0}, ${last?.worker ?? 0}; µs: ${cpu}`
  );
};

const spread = ({median, min, max}: Spread): string => `${ms(median)} (${ms(min)}–${ms(max)})`;

const count = (runs: readonly RegionRun[], what: 'retries' | 'failed'): number =>
  runs.reduce((sum, run) => sum + run[what], 0);

/** The table for the terminal: medians of the rounds, with their least and most. */
export const printReport = (report: RegionReport): string => {
  const {scenarios, sides, rounds, machine} = report;
  const load = machine.loadAverageBefore[0] ?? 0;
  const lines = [
    `${rounds} round(s): median (min–max). ${machine.processors} × ${machine.processor}, load average before ${load.toFixed(1)}, Kubernetes ${machine.kubernetes}`,
    sides.map(({name, revision}) => `${name}: ${revision}`).join(', '),
    ...(report.profiled ? ['The profiler ran meanwhile, which costs the services time.'] : []),
    '',
  ];
  for (const {name, title} of scenarios) {
    lines.push(title);
    for (const side of sides) {
      const found = runsOf(report, side.name, name);
      if (found.length === 0) continue;
      const of = (pick: Figure): string => {
        const values = valuesOf(found, pick);
        return values.length === 0 ? '–' : spread(spreadOf(values));
      };
      const pods = found.map((run) => `${run.pods.at(-1)?.deviceApi ?? 0}+${run.pods.at(-1)?.worker ?? 0}`);
      lines.push(
        `  ${side.name.padEnd(7)} ${of(({done, seconds}) => done / seconds).padEnd(26)} /s   accepted p50 ${of(({accept}) => latency(accept, 'p50Ms'))} p99 ${of(({accept}) => latency(accept, 'p99Ms'))} ms`,
        `          applied p50 ${of(({applied}) => latency(applied, 'p50Ms'))} p99 ${of(({applied}) => latency(applied, 'p99Ms'))} ms, visible p50 ${of(({visible}) => latency(visible, 'p50Ms'))} ms, ` +
          `${count(found, 'retries')} retries, ${count(found, 'failed')} failed, pods at the end ${pods.join(' ')}, processor time ${of(cpuSum)} µs without the load generator and what belongs to nobody`,
      );
    }
  }
  return lines.join('\n');
};

export const verdictLine = (what: string, withinPercent: number, verdict: Verdict): string => {
  const {without, during, limit, isKept, isVague} = verdict;
  const vague = isVague ? `; the rounds without lie further apart than ${withinPercent} %, so this says little` : '';
  return `${what}: without ${spread(without)} ms, with ${spread(during)} ms; at most ${withinPercent} % more and the rounds' spread: ${ms(limit)} ms: ${isKept ? 'kept' : 'NOT KEPT'}${vague}`;
};
