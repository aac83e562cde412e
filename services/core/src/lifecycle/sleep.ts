import {setTimeout as delay} from 'node:timers/promises';

/** Resolves after `ms`, or as soon as the signal aborts; never rejects. */
export const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
  if (signal.aborted) return;
  await delay(ms, undefined, {signal}).catch(() => undefined);
};
