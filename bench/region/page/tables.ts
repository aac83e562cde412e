/** The numbers of a report. Two figures that are compared stand below each other, or beside each other on a phone. */
import {spreadOf} from '../../measure.ts';
import {figure, percentOf, rangeOf} from './figures.ts';
import {html, type Markup} from './html.ts';
import {type RegionReport, type RegionRun} from '../report.ts';
import {
  type Change,
  changeOf,
  cpuSum,
  type Measure,
  MEASURES,
  processesOf,
  runsOf,
  OUTSIDE,
  valuesOf,
  type Figure,
} from './summary.ts';
import {sideColour} from './theme.ts';

type Scenario = RegionReport['scenarios'][number];

/** The runs of each side, in the order of the sides. */
const sidesOf = (report: RegionReport, scenario: Scenario): readonly (readonly RegionRun[])[] =>
  report.sides.map(({name}) => runsOf(report, name, scenario.name));

export const swatch = (index: number, sides: number): Markup =>
  html`<i class="swatch" style="background:${sideColour(index, sides)}"></i>`;

const cellOf = (runs: readonly RegionRun[], pick: Figure): Markup => {
  const values = valuesOf(runs, pick);
  if (values.length === 0) return html`<td class="none">–</td>`;
  const spread = spreadOf(values);
  const range = rangeOf(spread);
  return html`<td>
    <b>${figure(spread.median)}</b>${range === undefined ? undefined : html` <small>${range}</small>`}
  </td>`;
};

const percentText = (percent: number | undefined): string => (percent === undefined ? 'from 0' : percentOf(percent));

/** Says better and worse in the same voice. */
const judged = (change: Change, before: number, now: number, better: Measure['better']): string => {
  if (change.kind !== 'apart') return change.kind;
  if (better === undefined) return '';
  return now > before === (better === 'more') ? 'better' : 'worse';
};

const changeCell = (
  sides: readonly (readonly RegionRun[])[],
  {pick, better}: Pick<Measure, 'pick' | 'better'>,
): Markup => {
  const [before = [], now = []] = sides.map((runs) => valuesOf(runs, pick));
  const change = changeOf(before, now);
  if (change.kind === 'not measured') return html`<td class="none">–</td>`;
  if (change.kind === 'same') return html`<td><small>same</small></td>`;
  const words = judged(change, spreadOf(before).median, spreadOf(now).median, better);
  return html`<td><b>${percentText(change.percent)}</b> <small>${words}</small></td>`;
};

export const isCompared = ({sides}: RegionReport): boolean => sides.length === 2;

export const headline = (report: RegionReport): Markup => {
  const heads = MEASURES.map(({name, unit}) => html`<th scope="col">${name} <small>${unit}</small></th>`);
  const columns = 1 + report.sides.length + (isCompared(report) ? 1 : 0);
  const groups = report.scenarios.map((scenario) => {
    const sides = sidesOf(report, scenario);
    const rows = report.sides.map(
      ({name}, i) =>
        html`<tr>
          <th scope="row">${swatch(i, report.sides.length)}${name}</th>
          ${MEASURES.map(({pick}) => cellOf(sides[i] ?? [], pick))}
        </tr>`,
    );
    const change = html`<tr class="change">
      <th scope="row">change</th>
      ${MEASURES.map((measure) => changeCell(sides, measure))}
    </tr>`;
    return html`<tbody>
      <tr class="scenario">
        <th scope="rowgroup" colspan="${MEASURES.length + 1}">${scenario.title}</th>
      </tr>
      <tr class="labels">
        <th></th>
        ${heads}
      </tr>
      ${rows} ${isCompared(report) ? change : undefined}
    </tbody>`;
  });
  return html`<table class="headline" style="--columns:${columns};--rows:${MEASURES.length + 2}">
    <thead>
      <tr>
        <th scope="col">side</th>
        ${heads}
      </tr>
    </thead>
    ${groups}
  </table>`;
};

/** Processor time of one sync of a scenario, process by process; undefined where no run has any. */
export const cpuTable = (report: RegionReport, scenario: Scenario): Markup | undefined => {
  const sides = sidesOf(report, scenario);
  const processes = processesOf(sides.flat());
  if (processes.length === 0) return undefined;
  const row = (name: string, pick: Figure, kind: string): Markup =>
    html`<tr class="${kind}">
      <th scope="row">${name}</th>
      ${sides.map((runs) => cellOf(runs, pick))}${
        isCompared(report) ? changeCell(sides, {pick, better: 'less'}) : undefined
      }
    </tr>`;
  const heads = report.sides.map(({name}, i) => html`<th scope="col">${swatch(i, report.sides.length)}${name}</th>`);
  return html`<table class="cpu">
    <caption>
      ${scenario.title}
    </caption>
    <thead>
      <tr>
        <th scope="col">µs a sync</th>
        ${heads}${isCompared(report) ? html`<th scope="col">change</th>` : undefined}
      </tr>
    </thead>
    <tbody>
      ${processes.map((name) => row(name, ({cpuMicros}) => cpuMicros[name] ?? 0, 'process'))}
      ${row('the region', cpuSum, 'sum')}
      ${OUTSIDE.map(({process, title}) => row(title, ({cpuMicros}) => cpuMicros[process], 'outside'))}
    </tbody>
  </table>`;
};
