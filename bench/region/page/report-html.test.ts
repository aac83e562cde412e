import {describe, expect, test} from '@jest/globals';
import {renderHtml} from './report-html.ts';
import {type RegionReport} from '../report.ts';
import {madeUpReport} from './testing/made-up-report.ts';

/** The texts of a row of the first table whose text begins so, in its scenario. */
const row = (page: string, scenario: string, head: string): readonly string[] => {
  const group = page.split('<tbody>').find((part) => part.includes(scenario)) ?? '';
  const rows = group.split('<tr').map((part) => [...part.matchAll(/<t[hd][^>]*>([\s\S]*?)<\/t[hd]>/g)]);
  const cells = rows.map((found) =>
    found.map(([, cell = '']) =>
      cell
        .replace(/<[^>]*>/g, '')
        .replace(/\s+/g, ' ')
        .trim(),
    ),
  );
  return cells.find(([first]) => first === head) ?? [];
};

/** Every round of a side has these latencies; without plots, which take the time. */
const withP99 = (report: RegionReport, p99: Readonly<Record<string, readonly number[]>>): RegionReport => ({
  ...report,
  runs: report.runs.map((run) => ({
    ...run,
    timeline: [],
    pods: [],
    cpuMicros: {},
    accept: {...run.accept, p99Ms: p99[run.side]?.[run.round] ?? NaN},
  })),
});
const P99 = 5;

describe('the page of a region', () => {
  test('has a row a scenario and side, with the median and how far the rounds lie apart', async () => {
    const page = await renderHtml(withP99(madeUpReport(), {before: [50, 40, 60], now: [70.4, 80, 75]}));
    expect(row(page, '333 syncs', 'before')[P99]).toBe('50 (40–60)');
    expect(row(page, '333 syncs', 'now')[P99]).toBe('75 (70.4–80)');
    for (const scenario of ['333 syncs', '1000 syncs', 'devices at once', 'enrolment']) {
      for (const side of ['before', 'now', 'change']) expect(row(page, scenario, side)).toHaveLength(12);
    }
    expect(row(page, 'enrolment', 'now').slice(6, 8)).toEqual(['–', '–']);
  });

  test.each([
    [[70, 80, 75], '+50 % worse'],
    [[30, 20, 25], '−50 % better'],
    [[30, 20, 55], '−40 % within spread'],
    [[50, 40, 60], '0.0 % within spread'],
  ])('calls what became of 40 to 60 ms in %j ms: %s', async (now, text) => {
    const page = await renderHtml(withP99(madeUpReport(), {before: [50, 40, 60], now}));
    expect(row(page, '333 syncs', 'change')[P99]).toBe(text);
  });

  test('says that one round says nothing of the spread', async () => {
    const two = madeUpReport();
    const page = await renderHtml({...two, rounds: 1, runs: two.runs.filter(({round}) => round === 0)});
    expect(row(page, '333 syncs', 'change')[P99]).toMatch(/ % one round$/);
    expect(page).toContain('There was one round');
  });

  test('compares nothing where there is one side', async () => {
    const page = await renderHtml(madeUpReport(['now']));
    expect(row(page, '333 syncs', 'now')).toHaveLength(12);
    expect(page).not.toContain('>change<');
  });

  test('is drawn also of a run that did nothing', async () => {
    const report = madeUpReport();
    const runs = report.runs.map((run) => ({
      ...run,
      done: 0,
      seconds: 0,
      accept: {count: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, p999Ms: 0, maxMs: 0},
      applied: null,
      visible: null,
      cpuMicros: {},
      timeline: [],
      pods: [],
    }));
    expect(await renderHtml({...report, runs})).toContain('Nothing was recorded by the second.');
    expect(await renderHtml({...report, runs: []})).toContain('Nothing was recorded by the second.');
  });

  test.each([
    [2.0, false],
    [2.1, true],
  ])('with a load of %d before on two processors warns: %p', async (load, warns) => {
    const report = madeUpReport();
    const page = await renderHtml({
      ...report,
      machine: {...report.machine, processors: 2, loadAverageBefore: [load, 9, 9]},
    });
    expect(page.includes('The figures are worth little')).toBe(warns);
  });

  test('takes no text for markup', async () => {
    const hostile = '"\'></style></svg><script>alert(1)</script>&amp;';
    const report = madeUpReport([hostile, 'now']);
    const page = await renderHtml({
      ...report,
      startedAt: `2026-11-27${hostile}`,
      machine: {...report.machine, processor: hostile, kernel: hostile, kubernetes: hostile},
      sides: report.sides.map(({name}) => ({name, revision: hostile})),
      scenarios: report.scenarios.map(({name}) => ({name, title: hostile})),
      runs: report.runs.map((run) => ({...run, cpuMicros: {...run.cpuMicros, [hostile]: 5}})),
    });
    expect(page).not.toContain('<script');
    expect(page.match(/<\/style>/g)).toHaveLength(1);
    expect(page.match(/<svg/g)).toHaveLength(page.match(/<\/svg>/g)?.length ?? 0);
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;');
  });

  test('loads nothing from elsewhere and runs nothing', async () => {
    const page = (await renderHtml(madeUpReport())).replaceAll('xmlns="http://www.w3.org/2000/svg"', '');
    expect(page).not.toMatch(
      /https?:|\/\/[a-z]|<(script|link|img|image|iframe|object|embed|base|use)\b|\b(src|href|xlink:href|on[a-z]+)=|url\(|@import/i,
    );
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  });
});
