import {MAX_AHEAD} from '@pisync/core/devices/max-ahead';

/** From the first number up to, and without, the second. */
export type Range = readonly [from: number, to: number];

/** Which batch numbers of one epoch are applied: all up to `through`, and those in `ahead`. */
export interface AppliedNumbers {
  readonly through: number;
  /** Ascending, not touching each other, none touching `through`. */
  readonly ahead: readonly Range[];
}

export const NOTHING_APPLIED: AppliedNumbers = {through: 0, ahead: []};

export const isApplied = ({through, ahead}: AppliedNumbers, number: number): boolean =>
  number <= through || ahead.some(([from, to]) => number >= from && number < to);

/** Whether the number has to wait until more of those before it are applied. */
export const isTooFar = ({through}: AppliedNumbers, number: number): boolean => number > through + MAX_AHEAD;

/** The same and one number, which was not applied. */
export const withApplied = ({through, ahead}: AppliedNumbers, number: number): AppliedNumbers => {
  if (number === through + 1) {
    const [first, ...rest] = ahead;
    return first?.[0] === number + 1 ? {through: first[1] - 1, ahead: rest} : {through: number, ahead};
  }
  const before = ahead.filter(([, to]) => to < number);
  const after = ahead.filter(([from]) => from > number + 1);
  const touching = ahead.slice(before.length, ahead.length - after.length);
  const from = Math.min(number, ...touching.map(([start]) => start));
  const to = Math.max(number + 1, ...touching.map(([, end]) => end));
  return {through, ahead: [...before, [from, to], ...after]};
};

/** 0: none is. */
export const highestApplied = ({through, ahead}: AppliedNumbers): number => (ahead.at(-1)?.[1] ?? through + 1) - 1;

/** How many they are. */
export const countApplied = ({through, ahead}: AppliedNumbers): number =>
  ahead.reduce((sum, [from, to]) => sum + to - from, through);

/** As `int8multirange` has them; null stands for none. @throws RangeError for another text */
export const parseRanges = (text: string | null): readonly Range[] => {
  if (text === null) return [];
  if (!/^\{(\[\d+,\d+\)(,\[\d+,\d+\))*)?\}$/.test(text))
    throw new RangeError(`"${text}" is not a multirange of numbers`);
  return Array.from(text.matchAll(/\[(\d+),(\d+)\)/g), ([, from, to]): Range => [Number(from), Number(to)]);
};

/** Undefined for none. */
export const formatRanges = (ranges: readonly Range[]): string | undefined =>
  ranges.length === 0 ? undefined : `{${ranges.map(([from, to]) => `[${from},${to})`).join(',')}}`;
