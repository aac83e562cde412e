/** From the description of a plot to its SVG, without a browser. */
import {parse, View} from 'vega';
import {compile, type Config, type TopLevelSpec} from 'vega-lite';
import {escapeText} from './html.ts';
import {THEME_CSS} from './theme.ts';

export interface Chart {
  /** What a person hears who does not see the plot. */
  readonly title: string;
  /** One sentence that says how to read it. */
  readonly reading: string;
  readonly spec: TopLevelSpec;
  /** Pixels, where the texts fit into less than Vega thinks: it cannot measure them here, and takes them for wider than they are. */
  readonly width?: number;
}

const CONFIG: Config = {
  // One title for the whole picture; a name for every mark would be noise, and large.
  aria: false,
  background: 'var(--page)',
  font: 'system-ui, sans-serif',
  view: {stroke: null},
  title: {anchor: 'start', frame: 'bounds', color: 'var(--ink)', fontSize: 13, fontWeight: 600, offset: 8},
  axis: {
    domain: false,
    ticks: false,
    gridColor: 'var(--line)',
    labelColor: 'var(--muted)',
    labelFontSize: 11,
    labelPadding: 4,
    titleColor: 'var(--muted)',
    titleFontSize: 11,
    titleFontWeight: 'normal',
  },
  axisX: {titlePadding: 4, labelFlush: false},
  // As wide in every plot, so that the seconds of plots that stand below each other do too.
  axisY: {minExtent: 44, maxExtent: 44, titlePadding: 2},
  legend: {labelColor: 'var(--ink)', labelFontSize: 12, title: null, symbolStrokeWidth: 0},
};

/** Vega's first tag. */
const ROOT = /^<svg [^>]*viewBox="0 0 ([\d.]+) ([\d.]+)">/;

const draw = async ({title, spec, width}: Chart, padding: number, style: string): Promise<string> => {
  const {spec: lower} = compile({...spec, padding}, {config: CONFIG});
  const view = new View(parse(lower), {renderer: 'none'});
  try {
    const svg = await view.toSVG();
    const [root = '', full, height] = ROOT.exec(svg) ?? [];
    if (full === undefined || height === undefined) throw new Error(`Vega drew no SVG of the plot "${title}"`);
    const shown = width ?? full;
    return `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="${shown}" height="${height}" viewBox="0 0 ${shown} ${height}"><title>${escapeText(title)}</title>${style}${svg.slice(root.length)}`;
  } finally {
    view.finalize();
  }
};

/** An SVG element for a page that has the theme's custom properties. @throws when the description of the plot is wrong. */
export const renderChart = (chart: Chart): Promise<string> => draw(chart, 3, '');

/** The text of an SVG file, which brings its theme along. @throws when the description of the plot is wrong. */
export const renderChartFile = (chart: Chart): Promise<string> => draw(chart, 16, `<style>${THEME_CSS}</style>`);
