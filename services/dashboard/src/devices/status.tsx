import type {ReactNode} from 'react';
import type {Status} from '../api/types.ts';

/** One word and one shape per status: nobody has to tell red from green. */
export const STATUS_LABELS: Readonly<Record<Status, string>> = {
  on_time: 'On time',
  late: 'Late',
  silent: 'Silent',
  failing: 'Failing',
  pending: 'Pending',
};

/** What each status means, for tiles and hover texts. */
export const STATUS_MEANINGS: Readonly<Record<Status, string>> = {
  on_time: 'called within the last 26 hours',
  late: 'no call for more than 26 hours',
  silent: 'no call for three days',
  failing: 'its last batch could not be applied',
  pending: 'enrolled, no sync yet',
};

const SHAPES: Readonly<Record<Status, ReactNode>> = {
  on_time: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  late: <path d="M6 1 11.5 10.8H.5z" fill="currentColor" />,
  silent: <path d="M1 6h10" stroke="currentColor" strokeWidth="3" strokeLinecap="round" />,
  failing: <path d="m2 2 8 8m0-8-8 8" stroke="currentColor" strokeWidth="2.6" strokeLinecap="round" />,
  pending: <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" strokeWidth="2" strokeDasharray="3 2.2" />,
};

export const StatusMark = ({status}: {readonly status: Status}): ReactNode => (
  <svg className={`mark tone-${status}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
    {SHAPES[status]}
  </svg>
);

export const StatusLabel = ({status}: {readonly status: Status}): ReactNode => (
  <span className="status" title={STATUS_MEANINGS[status]}>
    <StatusMark status={status} />
    {STATUS_LABELS[status]}
  </span>
);
