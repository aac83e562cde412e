/** Processor time of one sync by process: a stacked bar a side, scenario by scenario. */
import {type Chart} from './chart.ts';
import {type Bar, type Panel, panelsOf, REST} from './cpu-bars.ts';
import {figure, rangeOf} from './figures.ts';
import {type RegionReport} from '../report.ts';
import {processesOf} from './summary.ts';
import {processColour, REST_COLOUR} from './theme.ts';

/** Pixels from bar to bar, and between two. */
const STEP = 26;
const GAP = 7;
/** Pixels of a character of 12 pixels as Vega counts them where it cannot measure: 0.8 of the size. */
const CHARACTER = 0.8 * 12;
/** Pixels of a digit of 11 pixels in the widest of the usual fonts. */
const DIGIT = 7;
/** Pixels of the square of an entry of the legend, and between two entries. */
const SQUARE = 26;
/** On less than this there is no room for ranges; they are in the tables. */
const WIDE = 500;

interface Layout {
  readonly isWide: boolean;
  /** Pixels of the picture, of the sides' names, of the bars with their labels, and of the longest label. */
  readonly width: number;
  readonly names: number;
  readonly plot: number;
  readonly labels: number;
  readonly domain: readonly string[];
}

const labelOf = ({sum}: Bar, isWide: boolean): string =>
  `${figure(sum.median)} µs ${(isWide ? rangeOf(sum) : undefined) ?? ''}`.trim();

const layoutOf = (report: RegionReport, panels: readonly Panel[], width: number): Layout => {
  const isWide = width >= WIDE;
  const bars = panels.flatMap((panel) => panel.bars);
  const drawn = new Set(bars.flatMap(({segments}) => segments.map(({process}) => process)));
  const names = Math.min(CHARACTER * Math.max(...report.sides.map(({name}) => name.length)) + 8, width / 3);
  return {
    isWide,
    width,
    names,
    plot: width - names - 20,
    labels: CHARACTER * Math.max(...bars.map((bar) => labelOf(bar, isWide).length)),
    domain: [...processesOf(report.runs), REST].filter((name) => drawn.has(name)),
  };
};

/** As many as fit beside each other, each as wide as its longest entry. */
export const legendColumns = (entries: readonly string[], width: number): number => {
  const fits = (columns: number): boolean => {
    const widths = new Array<number>(columns).fill(0);
    entries.forEach(({length}, i) => (widths[i % columns] = Math.max(widths[i % columns] ?? 0, length)));
    return widths.reduce((sum, length) => sum + length * CHARACTER + SQUARE, 0) <= width;
  };
  let columns = entries.length;
  while (columns > 1 && !fits(columns)) columns -= 1;
  // Rows as full as each other.
  return Math.ceil(entries.length / Math.ceil(entries.length / columns));
};

const colourOf = ({domain, width, names}: Layout) =>
  ({
    field: 'process',
    type: 'nominal',
    scale: {domain: [...domain], range: domain.map((name) => processColour(name) ?? REST_COLOUR)},
    legend: {orient: 'top', columns: legendColumns(domain, width - names), symbolType: 'square', offset: 10},
  }) as const;

const panelOf = ({title, bars, longest}: Panel, layout: Layout, hasAxis: boolean) => {
  const {isWide, width, names, plot, labels} = layout;
  // The label stands behind the longest bar.
  const domain = [0, longest / Math.max(0.3, 1 - labels / plot)];
  // No marks below the labels: the last of them would be cut.
  const marks = `datum.value > ${longest} ? '' : datum.label`;
  const x = {
    field: 'from',
    type: 'quantitative',
    title: hasAxis ? 'µs of processor time a sync' : null,
    scale: {domain, nice: false},
    axis: {tickCount: isWide ? 6 : 4, format: ',d', labels: hasAxis, labelExpr: marks, grid: false},
  } as const;
  const y = {
    field: 'side',
    type: 'nominal',
    title: null,
    sort: bars.map(({side}) => side),
    axis: {
      labelColor: 'var(--ink)',
      labelFontSize: 12,
      labelLimit: names,
      minExtent: names,
      maxExtent: names,
      titlePadding: 0,
    },
  } as const;
  const segments = bars.flatMap((bar) => [...bar.segments]);
  const micros = segments.flatMap(({from, to, ...segment}) => {
    const text = figure(to - from);
    const room = ((to - from) / (domain[1] ?? 1)) * plot;
    return room > text.length * DIGIT + 4 ? [{...segment, from: (from + to) / 2, text}] : [];
  });
  const onBar = {
    condition: {test: "datum.process === 'device-api'", value: 'var(--on-blue)'},
    value: 'var(--on-bright)',
  };
  return {
    title: {text: title, fontSize: 12, offset: 4, limit: 1.4 * width},
    width: plot,
    height: {step: STEP},
    encoding: {y},
    layer: [
      {
        data: {values: segments},
        mark: {type: 'bar', height: STEP - GAP, stroke: 'var(--page)', strokeWidth: 1} as const,
        encoding: {x, x2: {field: 'to'}, color: colourOf(layout)},
      },
      {
        data: {values: micros},
        mark: {type: 'text', fontSize: 11, baseline: 'middle'} as const,
        encoding: {x, text: {field: 'text'}, color: onBar},
      },
      {
        data: {values: bars.map((bar) => ({side: bar.side, from: bar.end, label: labelOf(bar, isWide)}))},
        mark: {type: 'text', fontSize: 12, align: 'left', baseline: 'middle', dx: 6, color: 'var(--ink)'} as const,
        encoding: {x, text: {field: 'label'}},
      },
    ],
  };
};

/** `width` in pixels, of the whole picture. Undefined where no run says anything of processor time. */
export const cpuChart = (report: RegionReport, width: number): Chart | undefined => {
  const {panels, shared} = panelsOf(report);
  if (panels.length === 0) return undefined;
  const layout = layoutOf(report, panels, width);
  return {
    title: 'Processor time of the region for one sync, by process, in microseconds',
    reading: `A bar is the medians of the rounds, process by process, and behind it is the median of their sums: shorter is better.${
      shared ? '' : ' Each scenario has a scale of its own: compare sides, not scenarios.'
    }`,
    width,
    spec: {
      title: {text: 'Processor time of one sync, by process', offset: 12},
      spacing: 12,
      resolve: {scale: {x: 'independent', y: 'independent', color: 'shared'}},
      vconcat: panels.map((panel, i) => panelOf(panel, layout, !shared || i === panels.length - 1)),
    },
  };
};
