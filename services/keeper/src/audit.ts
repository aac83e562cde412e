import {appendToChain, clearOutbox, readHead, readOutbox} from '@pisync/core/audit/chain';
import {type AuditRow, headText} from '@pisync/core/audit/audit-row';
import {describeError} from '@pisync/core/errors/app-error';
import {type Fence} from '@pisync/core/shards/keeper-term';
import {CONTROL_SHARD, type Shards} from '@pisync/core/shards/shards';
import {withConnection} from '@pisync/core/shards/with-connection';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Job} from './schedule.ts';

export interface AuditJobsOptions {
  readonly shards: Pick<Shards, 'ids' | 'pool'>;
  /** Of the shard with the control schema. */
  readonly fence: Fence;
  /** What the chain is signed with; read at each use. */
  readonly readKey: () => Promise<string>;
  readonly log: Logger;
}

/** So long people may see an entry as pending. */
const CHAIN_INTERVAL_MS = 5_000;
/** What was cut off since the head was told last is found by the counters of the shards alone. */
const HEAD_INTERVAL_MS = 60 * 60_000;
/** Of a shard, in one transaction. */
const CHUNK = 200;
/** A shard that takes longer is asked again at the next turn. The others do not wait for it. */
const SHARD_MS = 4_000;

/** What the keeper that acts for the control schema does for the audit: nobody else writes the chain. */
export const createAuditJobs = ({shards, fence, readKey, log}: AuditJobsOptions): readonly Job[] => {
  const silent = new Set<number>();

  /** Undefined of a shard that does not answer. */
  const waitingOn = async (shard: number, signal: AbortSignal): Promise<readonly AuditRow[] | undefined> => {
    try {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(SHARD_MS)]);
      const rows = await withConnection(shards.pool(shard, 'ingest'), patience, (client) => readOutbox(client, CHUNK));
      silent.delete(shard);
      return rows;
    } catch (error) {
      signal.throwIfAborted();
      // Once, although it is asked every few seconds.
      if (!silent.has(shard))
        log.warn({of: shard, reason: describeError(error)}, 'the audit of a shard is not chained');
      silent.add(shard);
      return undefined;
    }
  };

  /** One transaction a shard, and then another one that removes there what is chained. */
  const chain = async (shard: number, rows: readonly AuditRow[], key: string, signal: AbortSignal): Promise<void> => {
    await withConnection(shards.pool(CONTROL_SHARD, 'ingest'), signal, (control) =>
      appendToChain(control, {fence, key, shard, rows}),
    );
    await withConnection(shards.pool(shard, 'ingest'), signal, (client) => clearOutbox(client, rows));
  };

  return [
    {
      name: 'audit',
      everyMs: CHAIN_INTERVAL_MS,
      async run(signal) {
        let asked = shards.ids();
        while (asked.length > 0) {
          const found = await Promise.all(
            asked.map(async (shard) => ({shard, rows: (await waitingOn(shard, signal)) ?? []})),
          );
          const some = found.filter(({rows}) => rows.length > 0);
          if (some.length === 0) return;
          const key = await readKey();
          for (const {shard, rows} of some) await chain(shard, rows, key, signal);
          asked = some.filter(({rows}) => rows.length === CHUNK).map(({shard}) => shard);
        }
      },
    },
    {
      name: 'audit-head',
      everyMs: HEAD_INTERVAL_MS,
      async run(signal) {
        const head = await withConnection(shards.pool(CONTROL_SHARD, 'ingest'), signal, readHead);
        log.info({head: headText(head)}, 'the head of the audit chain');
      },
    },
  ];
};
