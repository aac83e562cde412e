/** Colours of the page and its plots, as custom properties: one SVG serves light and dark. */

/** Light, dark. The hues are those of Okabe and Ito, which colour-blind people tell apart (https://jfly.uni-koeln.de/color/). */
const COLOURS: Readonly<Record<string, readonly [string, string]>> = {
  page: ['#ffffff', '#0d1117'],
  ink: ['#1f2328', '#e6edf3'],
  muted: ['#57606a', '#9da7b1'],
  line: ['#d8dee4', '#30363d'],
  soft: ['#f6f8fa', '#161b22'],
  warn: ['#fff8c5', '#3a2d05'],
  'warn-line': ['#9a6700', '#d29922'],
  first: ['#d55e00', '#e69f00'],
  last: ['#0072b2', '#56b4e9'],
  blue: ['#0072b2', '#3d9bd6'],
  orange: ['#e69f00', '#e69f00'],
  green: ['#009e73', '#12ab80'],
  purple: ['#cc79a7', '#cc79a7'],
  vermilion: ['#d55e00', '#d55e00'],
  sky: ['#56b4e9', '#8fd0f5'],
  yellow: ['#f0e442', '#f0e442'],
  grey: ['#d0d7de', '#d0d7de'],
  // Text on a blue bar, and on the others.
  'on-blue': ['#ffffff', '#0d1117'],
  'on-bright': ['#1f2328', '#0d1117'],
};

const declared = (scheme: 0 | 1): string =>
  Object.entries(COLOURS)
    .map(([name, colours]) => `--${name}:${colours[scheme]}`)
    .join(';');

export const THEME_CSS = `:root{color-scheme:light dark;${declared(0)}}@media (prefers-color-scheme:dark){:root{${declared(1)}}}`;

/** The colour of a side: the last one is what is looked at, also where it is the only one. */
export const sideColour = (index: number, sides: number): string => `var(--${index === sides - 1 ? 'last' : 'first'})`;

/** In the order of the bars neighbours differ in lightness too. */
const PROCESS_COLOURS: Readonly<Record<string, string>> = {
  'device-api': 'blue',
  worker: 'orange',
  postgres: 'green',
  rabbitmq: 'sky',
  redis: 'vermilion',
  envoy: 'purple',
  kubernetes: 'yellow',
};

/** The colour of a process; undefined for one that is drawn among the rest: nobody tells twelve colours apart. */
export const processColour = (process: string): string | undefined => {
  const name = PROCESS_COLOURS[process];
  return name === undefined ? undefined : `var(--${name})`;
};
export const REST_COLOUR = 'var(--grey)';
