/** The loop of a real device: measure when it is time to, sync when it is due, sleep in between. */
import type {Device} from '../client/device.ts';
import type {Reading} from '../client/wire.ts';
import {explain} from './explain.ts';
import {isFull, isRefused} from './disk-error.ts';
import {dropFor, type Spool, type SpoolLimits} from './spool.ts';

export interface AgentLoop {
  readonly device: Device;
  readonly limits: SpoolLimits;
  readonly collect: () => readonly Reading[];
  readonly drop: (entries: ReturnType<typeof dropFor>) => Promise<void>;
  readonly spool: Pick<Spool, 'hasRoom' | 'settle'>;
  readonly nowMs: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** Says something to the owner of the device. */
  readonly tell: (text: string) => void;
}

/** Readings that wait in memory: those of a day with one measurement a minute. */
const MAX_UNSTORED = 10_000;

export interface Measuring {
  /** Measures once, and stores what there is to store. */
  measure(): Promise<void>;
  /** Measures when it is time to. @returns when it will be, by the loop's clock in ms */
  measureWhenDue(): Promise<number>;
  /** Goes on with measuring when it is time to, as long as a call is under way. What is measured is stored before the device hears the answer. */
  during<T>(call: Promise<T>): Promise<T>;
  /** Readings that the disk has not taken yet. They go with the process. */
  readonly unstored: () => number;
  /** How many readings were given up, because too many were not stored. */
  readonly givenUp: () => number;
}

/** What the disk does not take waits in memory, up to a bound, and is stored with a later measurement. */
export const createMeasuring = (
  {device, limits, collect, drop, spool, nowMs, sleep, tell}: AgentLoop,
  intervalMs: number,
  maxUnstored = MAX_UNSTORED,
): Measuring => {
  let dueMs = nowMs();
  let unstored: readonly Reading[] = [];
  let givenUp = 0;
  const isStored = async (readings: readonly Reading[]): Promise<boolean> => {
    try {
      if (!(await spool.hasRoom())) return false;
      const overflow = dropFor(device.outbox, readings.length, limits);
      if (overflow.length > 0) {
        tell('GIVEN UP: more readings wait than --max-queued, and the oldest are dropped');
        await drop(overflow);
      }
      await device.record(readings);
      return true;
    } catch (error) {
      if (isRefused(error)) return false;
      throw error;
    }
  };
  const measure = async (): Promise<void> => {
    const wasStored = unstored.length === 0;
    const readings = [...unstored, ...collect()];
    if (await isStored(readings)) {
      unstored = [];
      if (!wasStored) tell('readings are stored again');
      return;
    }
    unstored = readings.slice(-maxUnstored);
    if (wasStored && unstored.length > 0)
      tell('NOT STORED: the disk is full or fails, and readings wait in memory until it takes them');
    const over = readings.length - unstored.length;
    if (over > 0)
      tell(`GIVEN UP: more than ${maxUnstored} readings are not stored, and the ${over} oldest are dropped`);
    givenUp += over;
  };
  const measureWhenDue = async (): Promise<number> => {
    if (nowMs() < dueMs) return dueMs;
    await measure();
    dueMs = nowMs() + intervalMs;
    return dueMs;
  };
  return {
    measure,
    measureWhenDue,
    async during(call) {
      const ended = new AbortController();
      const end = (): void => ended.abort();
      call.then(end, end);
      while (!ended.signal.aborted) await sleep((await measureWhenDue()) - nowMs() + 1, ended.signal);
      return call;
    },
    unstored: () => unstored.length,
    givenUp: () => givenUp,
  };
};

/** Does the next thing, and tells how long the device waits where it has to try again. */
const step = async ({device, spool, nowMs, signal, tell}: AgentLoop): Promise<number> => {
  const {attempt} = device.session;
  await spool.settle();
  const nextMs = await device.step();
  const waitMs = device.session.notBeforeMs - nowMs();
  if (device.session.attempt > attempt && waitMs >= 1000 && !signal.aborted) {
    tell(`the next try is in ${Math.round(waitMs / 1000)} s`);
  }
  return nextMs;
};

export interface AgentPace {
  /** An upper bound for the region's own schedule. */
  readonly syncEveryMs: number | undefined;
  /** Before a device whose disk takes nothing tries again. */
  readonly refusedWaitMs: number;
}

/** A {@link step} that waits where nothing can be written down: the device is as before then, and does the same again. */
const patientStep = (loop: AgentLoop, refusedWaitMs: number): (() => Promise<number>) => {
  const {nowMs, tell} = loop;
  let againMs: number | undefined;
  return async () => {
    if (againMs !== undefined && nowMs() < againMs) return againMs;
    try {
      const nextMs = await step(loop);
      if (againMs !== undefined) tell('the disk takes what is written again: the device goes on');
      againMs = undefined;
      return nextMs;
    } catch (error) {
      if (!isRefused(error)) throw error;
      if (againMs === undefined) {
        const why = isFull(error) ? 'the disk is full to the last byte' : `THE CARD FAILS (${explain(String(error))})`;
        tell(`${why}: nothing is sent until it takes what is written`);
      }
      againMs = nowMs() + refusedWaitMs;
      return againMs;
    }
  };
};

/** Runs until the signal. */
export const runAgent = async (
  loop: AgentLoop,
  measuring: Measuring,
  {syncEveryMs, refusedWaitMs}: AgentPace,
): Promise<void> => {
  const {device, nowMs, sleep, signal} = loop;
  const next = patientStep(loop, refusedWaitMs);
  let syncAtMs = syncEveryMs === undefined ? Infinity : nowMs() + syncEveryMs;
  while (!signal.aborted) {
    const measureAtMs = await measuring.measureWhenDue();
    if (nowMs() >= syncAtMs) {
      device.wakeUp('scheduled');
      syncAtMs = nowMs() + (syncEveryMs ?? Infinity);
    }
    const nextMs = Math.min(await next(), measureAtMs, syncAtMs);
    if (nextMs > nowMs()) await sleep(nextMs - nowMs() + 1, signal);
  }
};

/** How often a device that waits for its batches to be applied asks. */
const ASK_EVERY_MS = 500;

/** Syncs until the region has applied everything. @returns false when the deadline or the signal came first. */
export const syncOnce = async (loop: AgentLoop, deadlineMs: number): Promise<boolean> => {
  const {device, nowMs, sleep, signal} = loop;
  const {outbox} = device;
  const done = (): boolean =>
    outbox.epoch !== undefined && outbox.queued === 0 && outbox.batches.length === 0 && !device.session.syncWanted;
  device.wakeUp('scheduled');
  while (!done()) {
    if (signal.aborted || nowMs() >= deadlineMs) return false;
    const nextMs = await step(loop);
    if (nextMs <= nowMs()) continue;
    const accepted = outbox.toSend === undefined && outbox.queued === 0;
    const failing = device.session.failures > 0;
    await sleep(accepted && !failing ? ASK_EVERY_MS : Math.min(nextMs, deadlineMs) - nowMs() + 1, signal);
    if (accepted && !failing) device.ask();
  }
  return true;
};

/** What of a run is not in the region as it was measured. */
export interface Losses {
  /** Readings that were given up. */
  readonly readings: number;
  /** Of the spool, that could not be read. */
  readonly lines: number;
  /** Batches of which the region has set a part aside, or all of them. */
  readonly bad?: number;
  /** Batches that reached the region with another content. */
  readonly garbled?: number;
}

/** How a run with an end went, in a sentence and an exit code. */
export const verdict = (
  {outbox, session}: Device,
  done: boolean,
  lost: Losses,
  isStopped: boolean,
): {readonly code: 0 | 1; readonly text: string} => {
  if (!done) {
    const why = isStopped ? 'stopped' : explain(session.lastError ?? 'no time left');
    return {code: 1, text: `not everything is applied: ${why}`};
  }
  const {bad = 0, garbled = 0} = lost;
  const losses = [
    ...(bad > 0 ? [`${bad} batches have records or a state that the region cannot store`] : []),
    ...(garbled > 0 ? [`${garbled} batches were garbled on their way`] : []),
    ...(lost.readings > 0 ? [`${lost.readings} readings were given up`] : []),
    ...(lost.lines > 0 ? [`${lost.lines} lines of the spool were lost`] : []),
  ];
  return losses.length > 0
    ? {code: 1, text: `${losses.join(', ')}; the others are applied: batch ${outbox.applied}`}
    : {code: 0, text: `everything applied: batch ${outbox.applied}`};
};
