import {databaseFault} from '@pisync/core/shards/database-fault';
import {dayOf} from '@pisync/core/shards/partitions';
import {describeError} from '@pisync/core/errors/app-error';
import {type Timers} from '@pisync/core/lifecycle/timers';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Batch} from './batch.ts';
import {writeBatches, type WriterOptions, type Written} from './shard-writer.ts';

/** A batch and why it was not applied. */
export interface Refused {
  readonly batch: Batch;
  readonly reason: string;
}

/** What became of a set of batches; every one is in exactly one place. */
export interface Applied {
  readonly written: readonly Written[];
  /** Refused by the database for a reason that may pass; the retry ladder's. */
  readonly refused: readonly Refused[];
  /** Not this shard's. */
  readonly moved: readonly Batch[];
  /** Somebody else has the row of their device at the moment. */
  readonly busy: readonly Batch[];
  /** To be tried again: nothing was found wrong with them. */
  readonly undecided: readonly Batch[];
  /** Why some are undecided: the shard is away, hangs, or lacks something that every batch needs. */
  readonly fault: string | undefined;
}

export interface ApplierOptions extends WriterOptions {
  readonly deadline: Timers['deadline'];
  readonly log: Logger;
  /** Partitions older than this many days are retention's and are not made again. */
  readonly keptDays: () => number;
}

/** @param timeoutMs how long a transaction may go without an end before its connection is cut. Never rejects for a database's error. */
export type Apply = (shardId: number, batches: readonly Batch[], timeoutMs: number) => Promise<Applied>;

const DAY_MS = 86_400_000;
const NOTHING: Applied = {written: [], refused: [], moved: [], busy: [], undecided: [], fault: undefined};

const merge = (results: readonly Applied[]): Applied => ({
  written: results.flatMap(({written}) => written),
  refused: results.flatMap(({refused}) => refused),
  moved: results.flatMap(({moved}) => moved),
  busy: results.flatMap(({busy}) => busy),
  undecided: results.flatMap(({undecided}) => undecided),
  fault: results.find(({fault}) => fault !== undefined)?.fault,
});

const reject = (batch: Batch, reason: string): Batch => ({...batch, content: {kind: 'rejected', reason}});

/**
 * Applies batches to one shard. A fault of the system (a shard that is away, a slot that is being moved) is reported without
 * blaming a batch; a fault of one batch is found by bisection and the others are applied.
 */
export const createApply = (options: ApplierOptions): Apply => {
  const {store, log, now} = options;

  return async (shardId, all, timeoutMs) => {
    const writeOnce = async (batches: readonly Batch[], deadline: AbortSignal): Promise<Applied> => {
      const verdict = await writeBatches(options, shardId, batches, deadline);
      if (verdict.kind === 'done') return settled(verdict.value);
      const elsewhere = new Set(verdict.slots);
      const here = batches.filter(({slot}) => !elsewhere.has(slot));
      const rest = here.length === 0 ? NOTHING : await write(here);
      log.debug({shard: shardId, slots: verdict.slots.length}, 'slots are not owned by this shard');
      return merge([rest, {...NOTHING, moved: batches.filter(({slot}) => elsewhere.has(slot))}]);
    };

    const settled = (written: Written): Applied => {
      const {busy, absent, tooFar} = written;
      if (absent.length > 0)
        log.warn(
          {shard: shardId, devices: absent.map(({deviceId}) => deviceId)},
          'devices that a shard owns have no row there',
        );
      return {
        ...NOTHING,
        written: [written],
        busy,
        // Each may have been lost with a part of the shard, and come back with a backup; what never does ends where a person sees it.
        refused: [
          ...absent.map((batch) => ({batch, reason: 'the shard knows no such device'})),
          ...tooFar.map((batch) => ({batch, reason: `too many batches before ${batch.batchSeq} are missing`})),
        ],
      };
    };

    const write = async (batches: readonly Batch[]): Promise<Applied> => {
      const deadline = options.deadline(timeoutMs);
      try {
        return await writeOnce(batches, deadline);
      } catch (error) {
        if (deadline.aborted) {
          return {...NOTHING, undecided: batches, fault: `no answer within ${timeoutMs} ms`};
        }
        return judge(batches, error);
      }
    };

    const judge = async (batches: readonly Batch[], error: unknown): Promise<Applied> => {
      const fault = databaseFault(error);
      switch (fault) {
        case 'systemic':
          return {...NOTHING, undecided: batches, fault: describeError(error)};
        case 'missing-partition':
          return makePartitions(batches, error);
        case 'permanent':
        case 'unknown':
          return bisect(batches, error, fault === 'permanent');
      }
    };

    /** Halves until the batch that the database refuses stands alone; the others are applied on the way. */
    const bisect = async (batches: readonly Batch[], error: unknown, isPermanent: boolean): Promise<Applied> => {
      const [batch] = batches;
      if (batch === undefined) return NOTHING;
      if (batches.length > 1) {
        const middle = batches.length >> 1;
        const first = await write(batches.slice(0, middle));
        const second = batches.slice(middle);
        // What does not answer the first half would let the second wait as long again.
        return merge([first, first.fault === undefined ? await write(second) : {...NOTHING, undecided: second}]);
      }
      const reason = describeError(error);
      log.warn(
        {shard: shardId, device: batch.deviceId, epoch: batch.epoch, batchSeq: batch.batchSeq, isPermanent, reason},
        'a batch is refused',
      );
      // A rejected batch that is refused again has nothing left to take away.
      if (!isPermanent || batch.content.kind === 'rejected') return {...NOTHING, refused: [{batch, reason}]};
      return write([reject(batch, reason)]);
    };

    /**
     * Makes the days that may exist and tries again. A day that retention has taken never comes back, so its batches are
     * rejected; one that is ahead means that some server's clock is wrong: the ladder gives it, and other workers, time.
     */
    const makePartitions = async (batches: readonly Batch[], error: unknown): Promise<Applied> => {
      const today = dayOf(now());
      const oldest = dayOf(now() - options.keptDays() * DAY_MS);
      // A day more, because the clocks of servers differ around midnight.
      const newest = dayOf(now() + DAY_MS);
      const past = batches.filter(({receivedDay}) => receivedDay < oldest);
      const ahead = batches.filter(({receivedDay, content}) => receivedDay > newest && content.kind !== 'rejected');
      const rest = batches.filter(({receivedDay}) => receivedDay >= oldest && receivedDay <= newest);
      // Days that have no place for the receipt of a rejection either, and without one it would come for ever.
      const dayless = [
        ...past.map((batch) => rejectPast(batch, oldest)),
        ...batches.filter(({receivedDay, content}) => receivedDay > newest && content.kind === 'rejected'),
      ].map((batch) => ({...batch, receivedDay: today}));
      try {
        // Today is that of what goes to quarantine.
        const days = [...new Set([today, ...rest.map(({receivedDay}) => receivedDay)])];
        const created = await store.ensureDays(shardId, days);
        if (created.length > 0) log.info({shard: shardId, created}, 'made partitions that were missing');
        // Nothing made, nothing to leave out and nothing to reject: what is missing is something else.
        else if (ahead.length === 0 && dayless.length === 0) return await bisect(batches, error, false);
      } catch (failure) {
        return await judge(batches, failure);
      }
      const again = [...rest, ...dayless];
      return merge([
        again.length === 0 ? NOTHING : await write(again),
        {...NOTHING, refused: ahead.map((batch) => ({batch, reason: aheadReason(batch, newest)}))},
      ]);
    };

    return write(all);
  };
};

const rejectPast = (batch: Batch, oldest: string): Batch =>
  batch.content.kind === 'rejected'
    ? batch
    : reject(batch, `received on ${batch.receivedDay}, and the records of days before ${oldest} are not kept any more`);

const aheadReason = ({receivedDay}: Batch, newest: string): string =>
  `received on ${receivedDay}, which is after ${newest} by the worker's clock: the clock of one of the two servers is wrong`;
