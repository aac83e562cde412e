/** Which batch numbers of one epoch are applied: as the rows of a device say it, or as its receipts do. */

/** From the first number up to, and without, the second. */
export type Range = readonly [from: number, to: number];

export interface Applied {
  /** All up to this one. */
  readonly through: number;
  /** Those that do not follow without a gap, ascending. */
  readonly ahead: readonly Range[];
}

export const NOTHING_APPLIED: Applied = {through: 0, ahead: []};

export const appliedOf = (numbers: ReadonlySet<number>): Applied => {
  const ranges: Range[] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.[1] === number) ranges[ranges.length - 1] = [last[0], number + 1];
    else ranges.push([number, number + 1]);
  }
  const [first, ...rest] = ranges;
  return first?.[0] === 1 ? {through: first[1] - 1, ahead: rest} : {through: 0, ahead: ranges};
};

/** How many they are. */
export const countOf = ({through, ahead}: Applied): number =>
  ahead.reduce((sum, [from, to]) => sum + to - from, through);

/** In words, with ranges as the column has them. Equal for equal numbers. */
export const nameOfApplied = ({through, ahead}: Applied): string =>
  [`up to ${through}`, ...ahead.map(([from, to]) => `[${from},${to})`)].join(' and ');
