import {createContext, type ReactNode, useContext, useEffect, useState} from 'react';
import {relativeTime} from './relative-time.ts';
import type {ServerClock} from './server-clock.ts';

/** Milliseconds since 1970 by the server's clock; the page's one clock, ticking often enough for "5 min ago". */
const NowContext = createContext(0);

const TICK_MS = 10_000;

export const NowProvider = ({
  clock,
  children,
}: {
  readonly clock: ServerClock;
  readonly children: ReactNode;
}): ReactNode => {
  const [now, setNow] = useState(clock.now);
  useEffect(() => {
    const tick = (): void => setNow(clock.now());
    const timer = setInterval(tick, TICK_MS);
    const endWatch = clock.watch(tick);
    return () => {
      clearInterval(timer);
      endWatch();
    };
  }, [clock]);
  return <NowContext value={now}>{children}</NowContext>;
};

/** Milliseconds since 1970 by the server's clock, some seconds ago at most. */
export const useNow = (): number => useContext(NowContext);

const exact = new Intl.DateTimeFormat(undefined, {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  timeZoneName: 'short',
});
const WITHIN_A_YEAR = {
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
} as const;
const withinAYear = new Intl.DateTimeFormat(undefined, WITHIN_A_YEAR);
const ofAnotherYear = new Intl.DateTimeFormat(undefined, {...WITHIN_A_YEAR, year: 'numeric'});

/** A moment as distance from now, with the exact time on hover and for machines. */
export const Ago = ({
  at,
  none = 'never',
}: {
  readonly at: string | null | undefined;
  /** What is shown where there is no moment. */
  readonly none?: string;
}): ReactNode => {
  const now = useContext(NowContext);
  if (at === null || at === undefined) return <span className="faint">{none}</span>;
  const moment = new Date(at);
  return (
    <time dateTime={at} title={exact.format(moment)}>
      {relativeTime(moment.getTime(), now)}
    </time>
  );
};

/** A moment in the reader's time zone, for what is compared with other moments. */
export const Moment = ({at}: {readonly at: string | null}): ReactNode => {
  const now = useContext(NowContext);
  if (at === null) return <span className="faint">unknown</span>;
  const moment = new Date(at);
  const format = moment.getFullYear() === new Date(now).getFullYear() ? withinAYear : ofAnotherYear;
  return (
    <time dateTime={at} title={exact.format(moment)}>
      {format.format(moment)}
    </time>
  );
};
