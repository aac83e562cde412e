/** The page of `make bench REGION=1`: one file with its plots in it, without scripts, that loads nothing. */
import {type Percentiles} from '@pisync/agent/fleet/latency';
import {type Chart, renderChart} from './chart.ts';
import {cpuChart} from './cpu-chart.ts';
import {html, type Markup, trusted} from './html.ts';
import {PAGE_CSS} from './page-css.ts';
import {type RegionReport, type RegionRun} from '../report.ts';
import {chanceApart} from './summary.ts';
import {cpuTable, headline, isCompared, swatch} from './tables.ts';
import {THEME_CSS} from './theme.ts';
import {isPaced, timelineCharts} from './timeline-charts.ts';

/** Pixels of the widest plot on a screen, and on a phone. */
const WIDE = 980;
const NARROW = 370;

const top = ({startedAt, machine, sides, rounds, recordsPerSync, profiled}: RegionReport): Markup => {
  const fact = (name: string, value: Markup | string): Markup =>
    html`<dt>${name}</dt>
      <dd>${value}</dd>`;
  const load = machine.loadAverageBefore[0] ?? 0;
  return html`<h1>A whole region under load</h1>
    <dl>
      ${fact('measured', `${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, ${recordsPerSync} records a sync`)}
      ${sides.map(({name, revision}, i) => fact(sides.length === 1 ? 'revision' : name, html`${swatch(i, sides.length)}<code>${revision}</code>`))}
      ${fact('machine', `${machine.processors} × ${machine.processor}, Linux ${machine.kernel}, Kubernetes ${machine.kubernetes}`)}
      ${fact('load average before', machine.loadAverageBefore.map((value) => value.toFixed(1)).join(', '))}
    </dl>
    ${profiled ? html`<p class="warning">V8's profiler ran meanwhile, which costs the services time.</p>` : undefined}
    ${
      load > machine.processors
        ? html`<p class="warning">
            <b>The machine was busy with other work before this began:</b> a load average of ${load.toFixed(1)} on
            ${machine.processors} processors. The figures are worth little.
          </p>`
        : undefined
    }`;
};

const howToCompare = (rounds: number): Markup => {
  if (rounds === 1) return html`There was one round, so nothing says how far two rounds of the same lie apart.`;
  const oneOf = Math.round(1 / chanceApart(rounds));
  return html`A change is <i>better</i> or <i>worse</i> where every round of one side lies beyond every round of the
    other; else it lies within the spread of the rounds and says nothing. Two equal sides with ${rounds} rounds each
    would look changed in about one cell of ${oneOf}.`;
};

/** The p99 of few is their slowest. */
const samples = ({runs}: RegionReport): string => {
  const least = (pick: (run: RegionRun) => Percentiles | null): number | undefined => {
    const counts = runs.map((run) => pick(run)?.count).filter((count) => count !== undefined);
    return counts.length === 0 ? undefined : Math.min(...counts);
  };
  const [applied, visible] = [least((run) => run.applied), least((run) => run.visible)];
  if (applied === undefined || visible === undefined) return '';
  return ` (at least ${applied} and ${visible} times a run; a p99 of fewer than 100 is their slowest)`;
};

const numbers = (report: RegionReport): Markup =>
  html`<h2>In numbers</h2>
    ${headline(report)}
    <p class="read">
      The median of the rounds, with the lowest and the highest in brackets.
      ${isCompared(report) ? howToCompare(report.rounds) : undefined}
    </p>
    <p class="read">
      Accept is from when a sync was due to its 2xx, so waiting for a slow answer counts; sent is the part of it in
      which the load generator was short of a connection or of time; applied and visible are sampled, from the 2xx to
      the row in its shard and to the admin API${samples(report)}. Due is – where all were due at once.
    </p>`;

const legend = ({sides}: RegionReport, paced: boolean): Markup => {
  const due = paced ? html`<span><i class="swatch due"></i>due</span>` : undefined;
  return html`<div class="sides">
    ${sides.map(({name}, i) => html`<span>${swatch(i, sides.length)}${name}</span>`)}${due}
  </div>`;
};

const figureOf = async (chart: Chart): Promise<Markup> =>
  html`<figure>
    ${trusted(await renderChart(chart))}
    <figcaption>${chart.reading}</figcaption>
  </figure>`;

const bySecond = async (report: RegionReport): Promise<Markup> => {
  const sections: Markup[] = [];
  for (const scenario of report.scenarios) {
    const figures = await Promise.all(timelineCharts(report, scenario).map(figureOf));
    const paced = isPaced(report.runs.filter((run) => run.scenario === scenario.name));
    const plots = figures.length === 0 ? html`<p>Nothing was recorded by the second.</p>` : undefined;
    sections.push(
      html`<h3>${scenario.title}</h3>
        ${plots ?? [legend(report, paced), html`<div class="pair">${figures}</div>`]}`,
    );
  }
  return html`<h2>Second by second</h2>
    <p class="read">
      Every thin line is one round. Plots of one scenario have one scale of seconds, and both latencies one of
      milliseconds.
    </p>
    ${sections}`;
};

const processorTime = async (report: RegionReport): Promise<Markup> => {
  const [wide, narrow] = [cpuChart(report, WIDE), cpuChart(report, NARROW)];
  if (wide === undefined || narrow === undefined) return html``;
  const [onScreen, onPhone] = [trusted(await renderChart(wide)), trusted(await renderChart(narrow))];
  return html`<h2>Processor time</h2>
    <figure>
      <div class="wide">${onScreen}</div>
      <div class="narrow">${onPhone}</div>
      <figcaption>${wide.reading}</figcaption>
    </figure>
    <p class="read">
      An enrolment counts as a sync where a scenario enrols, and all containers of a kind are one process. The sums are
      without the program that sends, and without all else that ran on this machine: the kernel, partly for the region,
      and whatever is unrelated. The small ones are one by one in the tables.
    </p>
    <div class="pair">${report.scenarios.map((scenario) => cpuTable(report, scenario))}</div>`;
};

/** @throws when a plot cannot be drawn, which only a report of another shape does. */
export const renderHtml = async (report: RegionReport): Promise<string> => {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
        <title>A whole region under load, ${report.startedAt.slice(0, 10)}</title>
        <style>
          ${trusted(THEME_CSS)}${trusted(PAGE_CSS)}
        </style>
      </head>
      <body>
        ${top(report)} ${numbers(report)} ${await bySecond(report)} ${await processorTime(report)}
      </body>
    </html> `;
  return page.markup;
};
