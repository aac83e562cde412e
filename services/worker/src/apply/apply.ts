import {databaseFault} from '@pisync/core/shards/database-fault';
import {dayOf, ensurePartitions} from '@pisync/core/shards/partitions';
import {describeError} from '@pisync/core/errors/app-error';
import {type Shards} from '@pisync/core/shards/shards';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Batch} from './batch.ts';
import {writeBatches, type WriterOptions, type Written} from './shard-writer.ts';

/** What became of a set of batches; every one is in exactly one place. */
export interface Applied {
  readonly written: readonly Written[];
  /** Refused by the database for a reason that may pass; the retry ladder's. */
  readonly failed: readonly {readonly batch: Batch; readonly reason: string}[];
  /** Not decided because the process is stopping; the broker delivers them again. */
  readonly undecided: readonly Batch[];
}

export interface ApplierOptions extends WriterOptions {
  readonly shards: Shards;
  readonly log: Logger;
  /** Partitions older than this many days are retention's and are not made again. */
  readonly recordDays: () => number;
  /** Resolves after `ms` or as soon as the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called once per pause that a systemic fault causes. */
  readonly onPause: (shardId: number | undefined, reason: string) => void;
}

export type Apply = (batches: readonly Batch[], stopping: AbortSignal) => Promise<Applied>;

/** From a fence, which lasts milliseconds, to a server that is being replaced. */
const PAUSE_MS = {first: 50, most: 5_000} as const;
const DAY_MS = 86_400_000;

interface ShardResult {
  readonly written: readonly Written[];
  readonly failed: readonly {readonly batch: Batch; readonly reason: string}[];
  /** To be tried again, here or where they moved. */
  readonly again: readonly Batch[];
  readonly pause: {readonly shardId: number | undefined; readonly reason: string} | undefined;
}

const EMPTY: ShardResult = {written: [], failed: [], again: [], pause: undefined};

const merge = (results: readonly ShardResult[]): ShardResult => ({
  written: results.flatMap(({written}) => written),
  failed: results.flatMap(({failed}) => failed),
  again: results.flatMap(({again}) => again),
  pause: results.find(({pause}) => pause !== undefined)?.pause,
});

/**
 * Applies batches wherever their slots live, one transaction per shard. A fault of the system (a shard that is away, a slot
 * that is being moved) makes it wait and try again without blaming a batch; a fault of one batch is found by bisection.
 */
export const createApply = (options: ApplierOptions): Apply => {
  const {shards, log, now} = options;

  const writeOne = async (shardId: number, batches: readonly Batch[]): Promise<ShardResult> => {
    const verdict = await writeBatches(shards.pool(shardId, 'ingest'), batches, options);
    if (verdict.kind === 'done') return {...EMPTY, written: [verdict.value]};
    const moved = new Set(verdict.slots);
    const here = batches.filter(({slot}) => !moved.has(slot));
    const rest = here.length === 0 ? EMPTY : await write(shardId, here);
    const again = batches.filter(({slot}) => moved.has(slot));
    log.debug({shard: shardId, slots: verdict.slots.length}, 'slots are not owned by this shard');
    return merge([rest, {...EMPTY, again, pause: {shardId, reason: `${moved.size} slots are owned elsewhere`}}]);
  };

  const write = async (shardId: number, batches: readonly Batch[]): Promise<ShardResult> => {
    try {
      return await writeOne(shardId, batches);
    } catch (error) {
      const fault = databaseFault(error);
      switch (fault) {
        case 'systemic':
          return {...EMPTY, again: batches, pause: {shardId, reason: describeError(error)}};
        case 'missing-partition':
          if (await makePartitions(shardId, batches)) return {...EMPTY, again: batches};
          return settle(shardId, batches, error, false);
        case 'permanent':
          return settle(shardId, batches, error, true);
        case 'unknown':
          return settle(shardId, batches, error, false);
      }
    }
  };

  /** Halves until the batch that the database refuses stands alone; the others are applied on the way. */
  const settle = async (
    shardId: number,
    batches: readonly Batch[],
    error: unknown,
    permanent: boolean,
  ): Promise<ShardResult> => {
    const [batch] = batches;
    if (batch === undefined) return EMPTY;
    if (batches.length > 1) {
      const middle = batches.length >> 1;
      return merge([await write(shardId, batches.slice(0, middle)), await write(shardId, batches.slice(middle))]);
    }
    const reason = describeError(error);
    log.warn(
      {shard: shardId, device: batch.deviceId, epoch: batch.epoch, batchSeq: batch.batchSeq, permanent, reason},
      'a batch is refused',
    );
    // A rejected batch that is refused again has nothing left to take away.
    if (!permanent || batch.content.kind === 'rejected') return {...EMPTY, failed: [{batch, reason}]};
    return write(shardId, [{...batch, content: {kind: 'rejected', reason}}]);
  };

  /** True when a partition was made, so that trying again makes sense. */
  const makePartitions = async (shardId: number, batches: readonly Batch[]): Promise<boolean> => {
    // A day ahead, because the clocks of servers differ around midnight.
    const oldest = dayOf(now() - options.recordDays() * DAY_MS);
    const newest = dayOf(now() + DAY_MS);
    const days = [...new Set(batches.map(({receivedDay}) => receivedDay))].filter(
      (day) => day >= oldest && day <= newest,
    );
    const created = await ensurePartitions(shards.pool(shardId, 'job'), days);
    if (created.length > 0) log.info({shard: shardId, created}, 'made partitions that were missing');
    return created.length > 0;
  };

  const round = async (batches: readonly Batch[]): Promise<ShardResult> => {
    let groups: Map<number, Batch[]>;
    try {
      groups = Map.groupBy(batches, ({slot}) => shards.slotMap.shardOf(slot));
    } catch (error) {
      return {...EMPTY, again: batches, pause: {shardId: undefined, reason: describeError(error)}};
    }
    return merge(await Promise.all(Array.from(groups, ([shardId, group]) => write(shardId, group))));
  };

  return async (batches, stopping) => {
    const written: Written[] = [];
    const failed: {readonly batch: Batch; readonly reason: string}[] = [];
    let pending: readonly Batch[] = batches;
    let pauseMs: number = PAUSE_MS.first;
    while (pending.length > 0) {
      const result = await round(pending);
      written.push(...result.written);
      failed.push(...result.failed);
      pending = result.again;
      if (pending.length === 0 || stopping.aborted) break;
      if (result.pause === undefined) continue;
      options.onPause(result.pause.shardId, result.pause.reason);
      await options.sleep(pauseMs, stopping);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS.most);
      await shards.slotMap
        .reload()
        .catch((error: unknown) => log.debug({reason: describeError(error)}, 'the slot map was not read again'));
    }
    return {written, failed, undecided: pending};
  };
};
