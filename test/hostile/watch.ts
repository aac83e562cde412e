import {readFileSync} from 'node:fs';
import type {RunningService} from './region.ts';

/** What a process has taken. */
interface Health {
  /** Its resident memory at the most, since its start. */
  readonly peakBytes: number;
  /** Longest time in which its event loop did nothing else, as far as it was looked at. */
  readonly longestHoldMs: number;
  /** Processor time since the watch began. */
  readonly cpuSeconds: number;
}

interface Watch {
  stop(): Promise<Health>;
}

const LOOK_MS = 500;
/** USER_HZ of Linux. */
const TICKS_A_SECOND = 100;
const HOLD = /^nodejs_eventloop_lag_max_seconds(?:\{[^}]*\})? (\S+)$/m;

const cpuSecondsOf = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Fields 14 and 15; the second one, in brackets, may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
};

const peakBytesOf = (pid: number): number =>
  Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

/** Looks at a process until it is told to stop. */
export const watch = async ({process: {child}, opsPort}: RunningService): Promise<Watch> => {
  const {pid} = child;
  if (pid === undefined) throw new Error('the process has not started');
  let longestHoldMs = 0;
  const look = async (): Promise<void> => {
    const answer = await fetch(`http://127.0.0.1:${opsPort}/metrics`);
    // Each look begins anew.
    longestHoldMs = Math.max(longestHoldMs, Number(HOLD.exec(await answer.text())?.[1]) * 1000);
  };
  await look();
  longestHoldMs = 0;
  const before = cpuSecondsOf(pid);
  let looking = Promise.resolve();
  const timer = setInterval(() => {
    looking = looking.then(look).catch(() => undefined);
  }, LOOK_MS);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      await looking;
      await look();
      return {
        peakBytes: peakBytesOf(pid),
        longestHoldMs: Math.round(longestHoldMs),
        cpuSeconds: cpuSecondsOf(pid) - before,
      };
    },
  };
};
