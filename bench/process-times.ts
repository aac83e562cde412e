/** Linux reports processor time in ticks of 1/100 s to user space, whatever the kernel's own rate is (proc(5), USER_HZ). */
export const TICK_MICROS = 10_000;

export interface ProcessTimes {
  /** Process id. */
  readonly parent: string;
  readonly own: number;
  readonly endedChildren: number;
}

/**
 * Processor time, user and system, in microseconds, from the text of /proc/PID/stat: the process's own, and that of its children that have ended. NaN where the
 * text is empty.
 */
export const processTimes = (stat: string): ProcessTimes => {
  // The second field is the program's name in brackets and may hold spaces; the parent is field 4, the times are fields 14 to 17.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const sum = (first: number): number => (Number(fields[first]) + Number(fields[first + 1])) * TICK_MICROS;
  return {parent: fields[1] ?? '', own: sum(11), endedChildren: sum(13)};
};
