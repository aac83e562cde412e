import {describeError} from '@pisync/core/errors/app-error';
import {withTimeout} from '@pisync/core/lifecycle/lifecycle';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';

/** Session lock of the acting keeper of a region ("PK" in ASCII). */
const KEEPER_LOCK = 0x504b;
/** Three looks: a pause of the process or a busy server is no reason to change hands. */
const DEFAULT_PATIENCE_MS = 15_000;

export interface LeadershipOptions {
  readonly control: () => ReturnType<Shards['control']>;
  readonly log: Logger;
  /** How often a standby asks, and how often the acting keeper looks whether its session still lives. */
  readonly intervalMs: number;
  /** For how long the two ends of the session may hear nothing of each other, before each of them gives it up. */
  readonly patienceMs?: number;
  /** Resolves after `ms` or as soon as the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onChange: (leading: boolean) => void;
}

/** `stillActs` asks the database whether the session lives that has the lock. @throws when it does not */
type Work = (signal: AbortSignal, stillActs: () => Promise<void>) => Promise<void>;

/**
 * Runs `work` in one keeper of the region at a time, until `stopping`. The right to act is a session lock in the control
 * database, which ends with the session. The server ends the session of a keeper that hangs or whose node is gone, because it
 * is idle; a keeper that is cut off gives up by itself, and `work`'s signal aborts. For a moment two may act, so what
 * `work` writes has a fence: see keeper-term.ts.
 */
export const whileLeading = async (options: LeadershipOptions, stopping: AbortSignal, work: Work): Promise<void> => {
  const {log, intervalMs, sleep} = options;
  while (!stopping.aborted) {
    try {
      await reign(options, stopping, work);
    } catch (error) {
      log.warn({reason: describeError(error)}, 'not acting: the control database did not answer');
    }
    await sleep(intervalMs, stopping);
  }
};

const reign = async (
  {control, log, intervalMs, patienceMs = DEFAULT_PATIENCE_MS, sleep, onChange}: LeadershipOptions,
  stopping: AbortSignal,
  work: Work,
): Promise<void> => {
  const client = await control().connect();
  const ended = new AbortController();
  const onLost = (): void => ended.abort();
  client.on('error', onLost);
  client.on('end', onLost);
  const heard = <T>(answer: Promise<T>): Promise<T> =>
    withTimeout(answer, patienceMs, `the control database was not heard of for ${patienceMs} ms`);
  try {
    // TCP alone would keep the session of a lost node for as long as two hours.
    await heard(client.query(`select set_config('idle_session_timeout', $1, false)`, [`${intervalMs + patienceMs}ms`]));
    const got = await heard(
      client.query<{locked: boolean}>('select pg_try_advisory_lock($1) as locked', [KEEPER_LOCK]),
    );
    if (got.rows[0]?.locked !== true) return;
    log.info('acting for the region');
    onChange(true);
    const signal = AbortSignal.any([stopping, ended.signal]);
    const stillActs = async (): Promise<void> => {
      await heard(client.query('select 1'));
    };
    const working = work(signal, stillActs);
    try {
      for (;;) {
        await sleep(intervalMs, signal);
        if (signal.aborted) break;
        await stillActs();
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
