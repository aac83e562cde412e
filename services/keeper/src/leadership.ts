import {describeError} from '@pisync/core/errors/app-error';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';

/** Session lock of the acting keeper of a region ("PK" in ASCII). */
const KEEPER_LOCK = 0x504b;

export interface LeadershipOptions {
  readonly control: () => ReturnType<Shards['control']>;
  readonly log: Logger;
  /** How often a standby asks, and how often the acting keeper looks whether its session still lives. */
  readonly intervalMs: number;
  /** Resolves after `ms` or as soon as the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onChange: (leading: boolean) => void;
}

/**
 * Runs `work` in one keeper of the region at a time, until `stopping`. The right to act is a session lock in the control
 * database: it ends with the connection that holds it, so a keeper that hangs or is cut off loses it without anybody
 * having to judge clocks, and `work`'s signal aborts.
 */
export const whileLeading = async (
  {control, log, intervalMs, sleep, onChange}: LeadershipOptions,
  stopping: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> => {
  while (!stopping.aborted) {
    try {
      await reign({control, log, intervalMs, sleep, onChange}, stopping, work);
    } catch (error) {
      log.warn({reason: describeError(error)}, 'not acting: the control database did not answer');
    }
    await sleep(intervalMs, stopping);
  }
};

const reign = async (
  {control, log, intervalMs, sleep, onChange}: LeadershipOptions,
  stopping: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> => {
  const client = await control().connect();
  const ended = new AbortController();
  const onLost = (): void => ended.abort();
  client.on('error', onLost);
  client.on('end', onLost);
  try {
    const got = await client.query<{locked: boolean}>('select pg_try_advisory_lock($1) as locked', [KEEPER_LOCK]);
    if (got.rows[0]?.locked !== true) return;
    log.info('acting for the region');
    onChange(true);
    const signal = AbortSignal.any([stopping, ended.signal]);
    const working = work(signal);
    try {
      for (;;) {
        await sleep(intervalMs, signal);
        if (signal.aborted) break;
        await client.query('select 1');
      }
    } finally {
      ended.abort();
      await working;
      onChange(false);
      log.info('no longer acting for the region');
    }
  } finally {
    client.off('error', onLost);
    client.off('end', onLost);
    // Destroyed rather than pooled: the lock belongs to this session.
    client.release(true);
  }
};
