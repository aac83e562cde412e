import {describe, expect, test} from '@jest/globals';
import {renderChart, renderChartFile} from './chart.ts';
import {cpuChart, legendColumns} from './cpu-chart.ts';
import {madeUpReport} from './testing/made-up-report.ts';
import {logTicks, timelineCharts} from './timeline-charts.ts';

const report = madeUpReport();
const defined = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('there is none');
  return value;
};
const textsOf = (svg: string): readonly string[] =>
  [...svg.matchAll(/<text[^>]*>([^<]+)</g)].map(([, text = '']) => text);
const steady = defined(report.scenarios.find(({name}) => name === '333-fixed'));

describe('a logarithmic axis', () => {
  test.each([
    [
      [12, 90],
      [10, 20, 50, 100],
    ],
    [
      [0.4, 3],
      [0.2, 0.5, 1, 2, 5],
    ],
    [
      [3, 9000],
      [1, 10, 100, 1000, 10_000],
    ],
    [
      [10, 10],
      [10, 100],
    ],
    [
      [1, 100],
      [1, 2, 5, 10, 20, 50, 100],
    ],
  ])('of %j has the marks %j', (values, ticks) => {
    expect(logTicks(values)).toEqual(ticks);
  });
});

describe('the plots of a scenario', () => {
  test('each have a title, axes with units, and a sentence that says how to read them', async () => {
    const charts = timelineCharts(report, steady);
    const drawn = await Promise.all(charts.map(renderChart));
    for (const svg of drawn) expect(svg).toMatch(/^<svg [^>]*role="img"[^>]*><title>333 syncs\/s, autoscaling off: /);
    const texts = drawn.map(textsOf);
    expect(texts).toEqual([
      expect.arrayContaining(['accept p50', 'ms, log scale', 'seconds since the first was due']),
      expect.arrayContaining(['accept p99', 'ms, log scale', 'seconds since the first was due']),
      expect.arrayContaining(['done and due', 'per second', 'seconds since the first was due']),
      expect.arrayContaining(['device-api pods', 'worker pods', 'pods', 'seconds since the first was due']),
    ]);
    for (const {reading} of charts) expect(reading).toMatch(/^[A-Z].*\.$/);
  });

  test('draw a line a round and side, with a gap where nothing was due', async () => {
    const quiet = {
      ...report,
      runs: report.runs.map((run) => ({
        ...run,
        timeline: run.timeline.map((at) => (at.second === 12 ? {...at, done: 0, p50Ms: 0, p99Ms: 0} : at)),
      })),
    };
    const lines = async (of: typeof report) => {
      const svg = await renderChart(defined(timelineCharts(of, steady)[0]));
      return [...svg.matchAll(/<path d="(M[^"]*)" stroke="var\(--(first|last)\)"/g)].map(([, path = '', side]) => ({
        side,
        pieces: path.split('M').length - 1,
      }));
    };
    const six = (pieces: number) => ['first', 'first', 'first', 'last', 'last', 'last'].map((side) => ({side, pieces}));
    expect(await lines(report)).toEqual(six(1));
    expect(await lines(quiet)).toEqual(six(2));
  });

  test('draw a point of a second that stands alone', async () => {
    const day = defined(report.scenarios.find(({name}) => name === 'day'));
    const svg = await renderChart(defined(timelineCharts(report, day)[0]));
    const alone = report.runs
      .filter(({scenario}) => scenario === 'day')
      .flatMap(({timeline}) =>
        timeline.filter(({due}, i) => due > 0 && timeline[i - 1]?.due !== 1 && timeline[i + 1]?.due !== 1),
      );
    expect(alone.length).toBeGreaterThan(0);
    expect(svg.match(/<path[^>]* fill="var\(--(first|last)\)"/g)).toHaveLength(alone.length);
  });

  test('leave the latencies to the table where all was due in one second', async () => {
    const herd = defined(report.scenarios.find(({name}) => name === 'herd'));
    const charts = await Promise.all(timelineCharts(report, herd).map(renderChart));
    expect(charts.map((svg) => /<title>[^:]*: ([^<]*)/.exec(svg)?.[1])).toEqual([
      'done a second, and due',
      'ready pods of device-api and worker by second',
    ]);
  });

  test('are none where nothing was recorded by the second', () => {
    const runs = report.runs.map((run) => ({...run, timeline: [], pods: []}));
    expect(timelineCharts({...report, runs}, steady)).toEqual([]);
  });
});

describe('the plot of processor time', () => {
  const withMicros = (micros: (scenario: string) => number) =>
    cpuChart(
      {...report, runs: report.runs.map((run) => ({...run, cpuMicros: {worker: micros(run.scenario), load: 9e9}}))},
      860,
    );

  test('stacks the medians, says the sum, and draws small processes as one', async () => {
    const runs = report.runs.map((run) => ({
      ...run,
      cpuMicros: {worker: 200 + run.round, keeper: 30, operator: 40, load: 999, other: 999},
    }));
    const svg = await renderChart(defined(cpuChart({...report, runs}, 860)));
    expect(textsOf(svg)).toEqual(expect.arrayContaining(['271 µs (270–272)', '201', '70', 'worker', 'small ones']));
    expect(textsOf(svg)).not.toContain('keeper');
    // Neither marks where the labels are.
    expect(textsOf(svg)).toContain('250');
    expect(textsOf(svg)).not.toContain('300');
  });

  test('has one scale for scenarios that are alike, and says when it has not', () => {
    expect(withMicros((name) => (name === 'herd' ? 300 : 100))?.reading).not.toContain('a scale of its own');
    expect(withMicros((name) => (name === 'herd' ? 900 : 100))?.reading).toContain('a scale of its own');
  });

  test.each([
    [2000, 6],
    [250, 3],
    [150, 2],
    [10, 1],
  ])('has a legend that fits into %d pixels: %d columns', (width, columns) => {
    expect(legendColumns(['a', 'b', 'c', 'd', 'e', 'long name'], width)).toBe(columns);
  });

  test('is none where no run says anything of it', () => {
    expect(cpuChart({...report, runs: []}, 860)).toBeUndefined();
  });

  test('is a file that brings its colours, light and dark, and is as wide as was asked', async () => {
    const svg = await renderChartFile(defined(cpuChart(report, 860)));
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" role="img" width="860"/);
    const used = [...svg.matchAll(/var\((--[a-z-]+)\)/g)].map(([, name]) => name);
    for (const name of used) expect(svg.split(`${name ?? ''}:`)).toHaveLength(3);
  });
});
