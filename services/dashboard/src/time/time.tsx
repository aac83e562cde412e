import {createContext, type ReactNode, useContext, useEffect, useState} from 'react';
import {relativeTime} from './relative-time.ts';

/** Milliseconds since 1970; the page's one clock, ticking often enough for "5 min ago". */
const NowContext = createContext(0);

const TICK_MS = 10_000;

export const NowProvider = ({
  clock,
  children,
}: {
  readonly clock: () => number;
  readonly children: ReactNode;
}): ReactNode => {
  const [now, setNow] = useState(clock);
  useEffect(() => {
    const timer = setInterval(() => setNow(clock()), TICK_MS);
    return () => clearInterval(timer);
  }, [clock]);
  return <NowContext value={now}>{children}</NowContext>;
};

const exact = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'medium'});

/** A moment as distance from now, with the exact time on hover and for machines. */
export const Ago = ({at}: {readonly at: string | null | undefined}): ReactNode => {
  const now = useContext(NowContext);
  if (at === null || at === undefined) return <span className="faint">never</span>;
  const moment = new Date(at);
  return (
    <time dateTime={at} title={exact.format(moment)}>
      {relativeTime(moment.getTime(), now)}
    </time>
  );
};
