import {AppError, describeError} from '@pisync/core/errors/app-error';
import {withTimeout} from '@pisync/core/lifecycle/lifecycle';
import {beginTerm, type Fence} from '@pisync/core/shards/keeper-term';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';

/** Session lock of the keeper that acts for a shard ("PK" in ASCII). */
const KEEPER_LOCK = 0x504b;
/** Three looks: a pause of the process or a busy server is no reason to change hands. */
const DEFAULT_PATIENCE_MS = 15_000;

export interface ActingOptions {
  readonly shardId: number;
  readonly pool: () => ReturnType<Shards['pool']>;
  /** Another one each time. */
  readonly newHolder: () => string;
  readonly log: Logger;
  /** How often a standby asks, and how often the acting keeper looks whether its session still lives. */
  readonly intervalMs: number;
  /** For how long the two ends of the session may hear nothing of each other, before each of them gives it up. */
  readonly patienceMs?: number;
  /** Resolves after `ms` or as soon as the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onChange: (isActing: boolean) => void;
}

/** Has to end soon after its signal aborts. */
type Work = (signal: AbortSignal, fence: Fence) => Promise<void>;

/**
 * Runs `work` for a shard in one keeper at a time, until `stopping`. The right to act is a session lock in that shard, which ends with the session. The server
 * ends the session of a keeper that hangs or whose node is gone, because it is idle; a keeper that is cut off gives up by itself, and `work`'s signal
 * aborts. For a moment two may act, so what `work` writes has a fence: see keeper-term.ts.
 */
export const whileActing = async (options: ActingOptions, stopping: AbortSignal, work: Work): Promise<void> => {
  const {log, intervalMs, sleep} = options;
  let told: string | undefined;
  for (;;) {
    try {
      await reign(options, stopping, work);
      told = undefined;
    } catch (error) {
      if (stopping.aborted) return;
      const reason = describeError(error);
      // Once, although it is tried every few seconds.
      if (reason !== told) log.warn({reason}, 'the shard is not kept');
      told = reason;
    }
    await sleep(intervalMs, stopping);
    if (stopping.aborted) return;
  }
};

const reign = async (options: ActingOptions, stopping: AbortSignal, work: Work): Promise<void> => {
  const {shardId, log, intervalMs, patienceMs = DEFAULT_PATIENCE_MS, sleep, onChange} = options;
  const client = await options.pool().connect();
  const ended = new AbortController();
  const signal = AbortSignal.any([stopping, ended.signal]);
  const end = (reason?: unknown): void => ended.abort(reason);
  // Who stops does not wait for a server that hangs.
  const cut = (): void => void client.connection.stream.destroy();
  client.on('error', end);
  client.on('end', end);
  stopping.addEventListener('abort', cut);
  const heard = <T>(answer: Promise<T>): Promise<T> =>
    withTimeout(answer, patienceMs, `it was not heard of for ${patienceMs} ms`);
  try {
    stopping.throwIfAborted();
    // TCP alone would keep the session of a lost node for as long as two hours.
    await heard(client.query(`select set_config('idle_session_timeout', $1, false)`, [`${intervalMs + patienceMs}ms`]));
    const got = await heard(
      client.query<{locked: boolean}>('select pg_try_advisory_lock($1) as locked', [KEEPER_LOCK]),
    );
    if (got.rows[0]?.locked !== true) return;
    const onOver = (): void => end(new AppError('conflict', 'another keeper has begun to act for it'));
    const {fence} = await heard(beginTerm(client, {shardId, holder: options.newHolder(), onOver}));
    log.info('acting for the shard');
    onChange(true);
    const working = work(signal, fence);
    try {
      for (;;) {
        await sleep(intervalMs, signal);
        if (signal.aborted) break;
        await heard(client.query('select 1'));
      }
    } finally {
      end();
      await working;
      onChange(false);
      log.info({reason: describeError(signal.reason)}, 'no longer acting for the shard');
    }
  } finally {
    stopping.removeEventListener('abort', cut);
    client.off('error', end);
    client.off('end', end);
    // Destroyed rather than pooled: the lock belongs to this session.
    client.release(true);
  }
};
