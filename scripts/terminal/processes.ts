import {readFileSync} from 'node:fs';

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessRef {
  readonly pid: number;
  /** Start time in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)). */
  readonly startTicks: number;
}

/** Undefined when there is no such process, or only its zombie. */
export function processRef(pid: number): ProcessRef | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  return parseStat(pid, stat);
}

/** Field 2 is the command's name in parentheses and may hold anything, so fields are counted from its last parenthesis. */
export function parseStat(pid: number, stat: string): ProcessRef | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTicks = Number(fields[19]);
  return fields[0] === 'Z' || !Number.isInteger(startTicks) ? undefined : {pid, startTicks};
}

export const isAlive = (ref: ProcessRef): boolean => processRef(ref.pid)?.startTicks === ref.startTicks;

/** A process, or with `-pid` its group, that has just ended is no error. */
export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
