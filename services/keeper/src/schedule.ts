import {describeError} from '@pisync/core/errors/app-error';
import {type Logger} from '@pisync/core/telemetry/logger';

/** Something that is done again and again, each time from what it finds. */
export interface Job {
  readonly name: string;
  readonly everyMs: number;
  run(signal: AbortSignal): Promise<void>;
}

export interface ScheduleOptions {
  readonly log: Logger;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onRun: (job: string, outcome: 'ok' | 'failed', seconds: number) => void;
}

/** A job that failed is tried again this soon, unless its own turn comes earlier. */
const RETRY_MS = 15_000;

/** Runs each job at once and then at its interval until the signal aborts; one job never delays another. */
export const runJobs = async (jobs: readonly Job[], signal: AbortSignal, options: ScheduleOptions): Promise<void> => {
  await Promise.all(jobs.map((job) => repeat(job, signal, options)));
};

const repeat = async (job: Job, signal: AbortSignal, {log, now, sleep, onRun}: ScheduleOptions): Promise<void> => {
  for (;;) {
    const began = now();
    let waitMs = job.everyMs;
    try {
      await job.run(signal);
      onRun(job.name, 'ok', (now() - began) / 1000);
    } catch (error) {
      // It was cut off, and whoever did that says why.
      if (signal.aborted) return;
      waitMs = Math.min(RETRY_MS, job.everyMs);
      onRun(job.name, 'failed', (now() - began) / 1000);
      log.error({job: job.name, retryInMs: waitMs, reason: describeError(error)}, 'a job failed');
    }
    await sleep(waitMs, signal);
    if (signal.aborted) return;
  }
};
