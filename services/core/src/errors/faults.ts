/** What an answer repeats of a body's faults. Their pointers have names that the caller chose, of any length. */
import type {Fault} from './app-error.ts';

const MAX_SHOWN_CHARS = 200;
/** Of the list as JSON. */
const MAX_LIST_BYTES = 64 * 1024;

const cut = (text: string): string => (text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}…` : text);

/** As an answer shows it. */
export const shortened = (fault: Fault): Fault => ({...fault, pointer: cut(fault.pointer), detail: cut(fault.detail)});

export const sizeOfFault = (fault: Fault): number => Buffer.byteLength(JSON.stringify(fault)) + ','.length;

/** As many as an answer has room for, the first ones; the last entry says how many more there are. */
export const boundedFaults = (faults: readonly Fault[]): readonly Fault[] => {
  const shown: Fault[] = [];
  let bytes = 0;
  for (const fault of faults) {
    const short = shortened(fault);
    bytes += sizeOfFault(short);
    if (bytes > MAX_LIST_BYTES) return [...shown, {pointer: '', detail: `and ${faults.length - shown.length} more`}];
    shown.push(short);
  }
  return shown;
};
