/** Numbers as people read them: three digits of a small one, thousands apart, a true minus. */
import {type Spread} from '../../measure.ts';

export const figure = (value: number): string => {
  const size = Math.abs(value);
  const digits = Number.isInteger(value) || size >= 99.5 ? 0 : size >= 9.95 ? 1 : 2;
  return value
    .toLocaleString('en-US', {minimumFractionDigits: digits, maximumFractionDigits: digits})
    .replace(/^-/, '−');
};

/** `(11–13)`; undefined where every round says the same. */
export const rangeOf = ({min, max}: Spread): string | undefined => {
  const [low, high] = [figure(min), figure(max)];
  return low === high ? undefined : `(${low}–${high})`;
};

/** `+12 %`. */
export const percentOf = (percent: number): string => {
  const digits = Math.abs(percent) < 9.95 ? 1 : 0;
  const text = percent.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    signDisplay: 'exceptZero',
  });
  return `${text.replace('-', '−')} %`;
};
