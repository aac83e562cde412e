import {type Timers} from '@pisync/core/lifecycle/timers';
import {type Scheduler} from '../scheduler.ts';

/** A server's or a device's wall clock; it outlives the processes that read it, and somebody may set it wrong. */
export interface WallClock {
  offsetMs: number;
}

/** One process: what it waits for never comes once it is dead. */
export interface Process {
  readonly name: string;
  readonly timers: Timers;
  /** Milliseconds since 1970 by its machine's clock. */
  readonly wallClock: () => number;
  readonly isAlive: () => boolean;
  /** Calls back after `ms` if it still lives. @returns what takes it back */
  after(ms: number, run: () => void): () => void;
  /** Resolves after `ms` if it still lives. */
  pause(ms: number): Promise<void>;
  /** Calls back when it dies. */
  onDeath(listener: () => void): void;
  kill(): void;
}

export interface ProcessOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  /** When the world began, in milliseconds since 1970. */
  readonly startMs: number;
  readonly clock: WallClock;
}

export const createProcess = ({name, scheduler, startMs, clock}: ProcessOptions): Process => {
  let isAlive = true;
  const listeners: (() => void)[] = [];
  const after = (ms: number, run: () => void): (() => void) =>
    scheduler.after(ms, () => {
      if (isAlive) run();
    });
  const timers: Timers = {
    now: () => scheduler.now(),
    after,
    soon: (callback) => void after(0, callback),
    deadline(ms) {
      const controller = new AbortController();
      after(ms, () => controller.abort());
      return controller.signal;
    },
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) {
          resolve();
          return;
        }
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          cancel();
          resolve();
        };
        const cancel = after(ms, wake);
        signal.addEventListener('abort', wake);
      }),
  };
  return {
    name,
    timers,
    wallClock: () => Math.floor(startMs + scheduler.now() + clock.offsetMs),
    isAlive: () => isAlive,
    after,
    pause: (ms) => new Promise((resolve) => void after(ms, resolve)),
    onDeath: (listener) => void listeners.push(listener),
    kill() {
      if (!isAlive) return;
      isAlive = false;
      for (const listener of listeners) listener();
    },
  };
};
