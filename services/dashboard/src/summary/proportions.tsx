import type {ReactNode} from 'react';
import {STATUSES, type Counts} from '../api/types.ts';
import {STATUS_LABELS} from '../devices/status.tsx';

const percent = (part: number, whole: number): number => (whole === 0 ? 0 : (100 * part) / whole);

/** Share in words: never "0 %" for something, never "100 %" for not quite all. */
export const shareText = (part: number, whole: number): string => {
  if (whole === 0) return '–';
  const share = percent(part, whole);
  if (part > 0 && share < 1) return '< 1 %';
  if (part < whole && share > 99) return '> 99 %';
  return `${Math.round(share)} %`;
};

/** One bar, one segment per status, in an order that puts trouble in the middle of the eye's way. */
export const Proportions = ({counts, total}: {readonly counts: Counts; readonly total: number}): ReactNode => (
  <svg
    className="proportions"
    viewBox="0 0 100 4"
    preserveAspectRatio="none"
    role="img"
    aria-label={STATUSES.map((status) => `${STATUS_LABELS[status]}: ${counts[status]}`).join(', ')}
  >
    {STATUSES.map((status, index) => (
      <rect
        key={status}
        className={`fill-${status}`}
        x={percent(
          STATUSES.slice(0, index).reduce((sum, earlier) => sum + counts[earlier], 0),
          total,
        )}
        width={percent(counts[status], total)}
        y="0"
        height="4"
      />
    ))}
  </svg>
);
