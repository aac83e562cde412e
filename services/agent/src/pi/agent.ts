/** The loop of a real device: measure when it is time to, sync when it is due, sleep in between. */
import type {Device} from '../client/device.ts';
import type {Reading} from '../client/wire.ts';
import {explain} from './explain.ts';
import {isFull} from './reserve.ts';
import {dropFor, type Spool, type SpoolLimits} from './spool.ts';

export interface AgentLoop {
  readonly device: Device;
  readonly limits: SpoolLimits;
  readonly collect: () => readonly Reading[];
  readonly drop: (entries: ReturnType<typeof dropFor>) => Promise<void>;
  /** See {@link Spool}. */
  readonly hasRoom: Spool['hasRoom'];
  readonly nowMs: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** Says something to the owner of the device. */
  readonly tell: (text: string) => void;
}

/** @returns how many readings were given up, because the disk is full. */
export const measure = async ({device, limits, collect, drop, hasRoom, tell}: AgentLoop): Promise<number> => {
  const readings = collect();
  if (!(await hasRoom())) return readings.length;
  try {
    const overflow = dropFor(device.outbox, readings.length, limits);
    if (overflow.length > 0) {
      tell('GIVEN UP: more readings wait than --max-queued, and the oldest are dropped');
      await drop(overflow);
    }
    await device.record(readings);
    return 0;
  } catch (error) {
    if (isFull(error)) return readings.length;
    throw error;
  }
};

/** Does the next thing, and tells how long the device waits where it has to try again. */
const step = async ({device, nowMs, signal, tell}: AgentLoop): Promise<number> => {
  const {attempt} = device.session;
  const nextMs = await device.step();
  const waitMs = device.session.notBeforeMs - nowMs();
  if (device.session.attempt > attempt && waitMs >= 1000 && !signal.aborted) {
    tell(`the next try is in ${Math.round(waitMs / 1000)} s`);
  }
  return nextMs;
};

export interface AgentPace {
  readonly intervalMs: number;
  /** An upper bound for the region's own schedule. */
  readonly syncEveryMs: number | undefined;
  /** Before a device whose disk is full to the last byte tries again. */
  readonly fullWaitMs: number;
}

/** A {@link step} that waits for room where nothing can be written down: the device is as before then, and does the same again. */
const patientStep = (loop: AgentLoop, fullWaitMs: number): (() => Promise<number>) => {
  const {nowMs, tell} = loop;
  let againMs: number | undefined;
  return async () => {
    if (againMs !== undefined && nowMs() < againMs) return againMs;
    try {
      const nextMs = await step(loop);
      if (againMs !== undefined) tell('there is room on the disk again: the device goes on');
      againMs = undefined;
      return nextMs;
    } catch (error) {
      if (!isFull(error)) throw error;
      if (againMs === undefined) tell('the disk is full to the last byte: nothing is sent until there is room');
      againMs = nowMs() + fullWaitMs;
      return againMs;
    }
  };
};

/** Runs until the signal. @param givenUp told how many readings of a measurement are not stored, because the disk is full */
export const runAgent = async (
  loop: AgentLoop,
  {intervalMs, syncEveryMs, fullWaitMs}: AgentPace,
  givenUp: (readings: number) => void,
): Promise<void> => {
  const {device, nowMs, sleep, signal} = loop;
  const next = patientStep(loop, fullWaitMs);
  let measureAtMs = nowMs();
  let syncAtMs = syncEveryMs === undefined ? Infinity : nowMs() + syncEveryMs;
  while (!signal.aborted) {
    if (nowMs() >= measureAtMs) {
      givenUp(await measure(loop));
      measureAtMs = nowMs() + intervalMs;
    }
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

/** How a run with an end went, in a sentence and an exit code. @param lost readings that were given up in this run, for whatever reason */
export const verdict = (
  {outbox, session}: Device,
  done: boolean,
  lost: number,
  isStopped: boolean,
): {readonly code: 0 | 1; readonly text: string} => {
  if (!done) {
    const why = isStopped ? 'stopped' : explain(session.lastError ?? 'no time left');
    return {code: 1, text: `not everything is applied: ${why}`};
  }
  return lost > 0
    ? {code: 1, text: `${lost} readings were given up; the others are applied: batch ${outbox.applied}`}
    : {code: 0, text: `everything applied: batch ${outbox.applied}`};
};
