import {type Spread, spreadOf} from '../measure.ts';

/** Whether something stayed as fast while something else went on. */
export interface Verdict {
  readonly without: Spread;
  readonly during: Spread;
  /** The median of the rounds without, so many percent more, and as much again as those rounds lay apart. */
  readonly limit: number;
  readonly isKept: boolean;
  /** Whether the rounds without lay apart by more than is allowed, so that as much again would not be noticed. */
  readonly isVague: boolean;
}

/** @param without @param during one figure a round, such as a p99 in milliseconds. @throws RangeError when there are none */
export const verdictOf = (without: readonly number[], during: readonly number[], withinPercent: number): Verdict => {
  const [base, seen] = [spreadOf(without), spreadOf(during)];
  const allowed = (base.median * withinPercent) / 100;
  const apart = base.max - base.min;
  const limit = base.median + allowed + apart;
  return {without: base, during: seen, limit, isKept: seen.median <= limit, isVague: apart > allowed};
};
