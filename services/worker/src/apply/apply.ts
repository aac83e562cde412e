import {type DatabaseFault, databaseFault, type FaultScope, scopeOf} from '@pisync/core/shards/database-fault';
import {dayOf} from '@pisync/core/shards/partitions';
import {describeError} from '@pisync/core/errors/app-error';
import {type Timers} from '@pisync/core/lifecycle/timers';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Batch} from './batch.ts';
import {type ShardStore} from './shard-store.ts';
import {writeBatches, type WriterOptions, type Written} from './shard-writer.ts';

/** A batch that could not be applied, alone among others or where its shard answers. */
export interface Refused {
  readonly batch: Batch;
  readonly reason: string;
  /** Whose fault it is. Of a batch's own there is an end; for a row and a shard somebody has to do something, however long that takes. */
  readonly scope: Extract<FaultScope, 'batch' | 'row' | 'shard'>;
}

/** What became of a set of batches; every one is in exactly one place. */
export interface Applied {
  readonly written: readonly Written[];
  /** The retry ladder's. */
  readonly refused: readonly Refused[];
  /** Not this shard's. */
  readonly moved: readonly Batch[];
  /** Somebody else has a row of their device at the moment. */
  readonly busy: readonly Batch[];
  /** To be tried again: nothing was found wrong with them. */
  readonly undecided: readonly Batch[];
  /** Why some are undecided: the shard is away, hangs, or lacks something that every batch needs. */
  readonly fault: string | undefined;
  /** With a fault: the shard answers over another connection and let this wait, so it is slow, or a connection hangs alone. */
  readonly isSlow: boolean;
}

export interface ApplierOptions extends WriterOptions {
  readonly store: ShardStore;
  readonly deadline: Timers['deadline'];
  readonly log: Logger;
  /** Partitions older than this many days are retention's and are not made again. */
  readonly keptDays: () => number;
}

export interface Patience {
  /** How long a transaction may go without an end before its connection is cut. */
  readonly timeoutMs: number;
  /** Whether what takes longer is halved until what takes so long stands alone. Otherwise the shard is taken to be slow. */
  readonly mayHalve: boolean;
}

/** Never rejects for a database's error. */
export type Apply = (shardId: number, batches: readonly Batch[], patience: Patience) => Promise<Applied>;

/** A deadlock's victim and whoever met another's write succeed the next time, as a rule. */
const MAX_COLLISIONS = 3;
/** In one line of the log. */
const MAX_TOLD_DAYS = 5;

const DAY_MS = 86_400_000;
const NOTHING: Applied = {
  ...{written: [], refused: [], moved: [], busy: [], undecided: []},
  ...{fault: undefined, isSlow: false},
};

const merge = (results: readonly Applied[]): Applied => ({
  written: results.flatMap(({written}) => written),
  refused: results.flatMap(({refused}) => refused),
  moved: results.flatMap(({moved}) => moved),
  busy: results.flatMap(({busy}) => busy),
  undecided: results.flatMap(({undecided}) => undecided),
  fault: results.find(({fault}) => fault !== undefined)?.fault,
  isSlow: results.some(({isSlow}) => isSlow),
});

const reject = (batch: Batch, reason: string): Batch => ({...batch, content: {kind: 'rejected', reason}});

/**
 * Applies batches to one shard and keeps each fault to what it concerns: what others hold waits alone, what cannot be stored or read is found by
 * halving, and only a shard that does not answer over another connection either is reported as a fault, without blaming a batch.
 */
export const createApply = (options: ApplierOptions): Apply => {
  const {store, log, now} = options;
  return async (shardId, all, {timeoutMs, mayHalve}) => {
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
      if (tooFar.length > 0)
        log.warn(
          {shard: shardId, batches: tooFar.map(({deviceId, epoch, batchSeq}) => ({deviceId, epoch, batchSeq}))},
          'too many batches before these are missing',
        );
      return {
        ...NOTHING,
        written: [written],
        busy,
        // Each may have been lost with a part of the shard, and come back with a backup; what never does ends where a person sees it.
        refused: [
          ...absent.map((batch) => refusal(batch, 'the shard knows no such device')),
          ...tooFar.map((batch) => refusal(batch, `too many batches before ${batch.batchSeq} are missing`)),
        ],
      };
    };

    const blameShard = (batches: readonly Batch[], fault: string): Applied => ({...NOTHING, undecided: batches, fault});

    /** @param tries how often these were tried before, for a reason that may be gone at once */
    const write = async (batches: readonly Batch[], tries = 0): Promise<Applied> => {
      const deadline = options.deadline(timeoutMs);
      try {
        return await writeOnce(batches, deadline);
      } catch (error) {
        return deadline.aborted ? judgeLate(batches, error) : judge(batches, error, tries);
      }
    };

    const judgeLate = async (batches: readonly Batch[], error: unknown): Promise<Applied> => {
      const isSlow = await store.answers(shardId);
      if (isSlow && mayHalve) return halve(batches, error, 'unheard');
      return {...blameShard(batches, `no answer within ${timeoutMs} ms`), isSlow};
    };

    const judge = async (batches: readonly Batch[], error: unknown, tries = 0): Promise<Applied> => {
      const fault = databaseFault(error);
      switch (fault) {
        case 'collision':
          return tries < MAX_COLLISIONS ? write(batches, tries + 1) : {...NOTHING, busy: batches};
        case 'held':
          return leaveHeld(batches, error, tries);
        case 'unheard':
          if (!(await store.answers(shardId))) return blameShard(batches, describeError(error));
          return tries === 0 ? write(batches, 1) : halve(batches, error, fault);
        case 'unable':
        case 'ownerless':
        case 'broker':
          return blameShard(batches, describeError(error));
        case 'missing-partition':
          return makePartitions(batches, error);
        case 'values':
        case 'constraint':
        case 'damaged':
          return halve(batches, error, fault);
        case 'limit':
        case 'unknown':
          // Of a shard that takes nothing from anybody it says nothing about a batch.
          if (!(await store.answers(shardId))) return blameShard(batches, describeError(error));
          // Nor when that has just ended.
          return batches.length === 1 && tries === 0 ? write(batches, 1) : halve(batches, error, fault);
      }
    };

    /** What holds up no row of these devices holds up the shard. */
    const leaveHeld = async (batches: readonly Batch[], error: unknown, tries: number): Promise<Applied> => {
      let held: ReadonlySet<number>;
      try {
        held = await store.heldDevices(
          shardId,
          [...new Set(batches.map(({deviceKey}) => deviceKey))].sort((a, b) => a - b),
        );
      } catch (failure) {
        return blameShard(batches, describeError(failure));
      }
      if (held.size === 0 && tries > 0) return blameShard(batches, describeError(error));
      const free = batches.filter(({deviceKey}) => !held.has(deviceKey));
      const rest = free.length === 0 ? NOTHING : await write(free, tries + 1);
      return merge([rest, {...NOTHING, busy: batches.filter(({deviceKey}) => held.has(deviceKey))}]);
    };

    /** Until the batch that fails stands alone; the others are applied on the way. */
    const halve = async (batches: readonly Batch[], error: unknown, fault: DatabaseFault): Promise<Applied> => {
      const [batch] = batches;
      if (batch === undefined) return NOTHING;
      if (batches.length === 1) return refuse(batch, error, fault);
      const middle = batches.length >> 1;
      const first = await write(batches.slice(0, middle));
      const second = batches.slice(middle);
      // What does not answer the first half would let the second wait as long again.
      return merge([first, first.fault === undefined ? await write(second) : {...NOTHING, undecided: second}]);
    };

    const refuse = async (batch: Batch, error: unknown, fault: DatabaseFault): Promise<Applied> => {
      const reason = describeError(error);
      const scope = await scopeOfRefusal(fault);
      log.warn(
        {shard: shardId, device: batch.deviceId, epoch: batch.epoch, batchSeq: batch.batchSeq, fault, scope, reason},
        'a batch is refused',
      );
      const isFinal = scope === 'batch' && fault !== 'unknown';
      // A rejected batch that is refused again has nothing left to take away.
      if (!isFinal || batch.content.kind === 'rejected') return {...NOTHING, refused: [{batch, reason, scope}]};
      return write([reject(batch, reason)]);
    };

    const scopeOfRefusal = async (fault: DatabaseFault): Promise<Refused['scope']> => {
      if (fault === 'constraint') return (await isOutdated()) ? 'shard' : 'batch';
      // The shard takes others.
      return fault === 'limit' || scopeOf(fault) === 'batch' ? 'batch' : 'row';
    };
    /** A shard that cannot say has another fault, which the next attempt meets. */
    const isOutdated = (): Promise<boolean> => store.isOutdated(shardId).catch(() => true);

    /**
     * Makes the days that may exist and tries again. A batch of another day waited for longer than records are kept, or a server whose clock is wrong has received it. Neither is the batch's
     * fault, so it is stored as one of today.
     */
    const makePartitions = async (batches: readonly Batch[], error: unknown): Promise<Applied> => {
      const today = dayOf(now());
      const oldest = dayOf(now() - options.keptDays() * DAY_MS);
      // A day more, because the clocks of servers differ around midnight.
      const newest = dayOf(now() + DAY_MS);
      const mayExist = ({receivedDay}: Batch): boolean => receivedDay >= oldest && receivedDay <= newest;
      const dayless = batches.filter((batch) => !mayExist(batch));
      try {
        // Today is that of what goes to quarantine.
        const days = [...new Set([today, ...batches.filter(mayExist).map(({receivedDay}) => receivedDay)])];
        const created = await store.ensureDays(shardId, days);
        if (created.length > 0) log.info({shard: shardId, created}, 'made partitions that were missing');
        // Nothing made and nothing of another day: what is missing is something else.
        else if (dayless.length === 0) return await halve(batches, error, 'unknown');
      } catch (failure) {
        // That no place can be made for a day is no batch's fault.
        return blameShard(batches, describeError(failure));
      }
      if (dayless.length > 0) {
        const days = [...new Set(dayless.map(({receivedDay}) => receivedDay))].slice(0, MAX_TOLD_DAYS);
        log.warn(
          {shard: shardId, batches: dayless.length, days, today},
          "batches are stored as today's: they waited for longer than records are kept, or the clock of the device-api that received them is wrong",
        );
      }
      return write(batches.map((batch) => (mayExist(batch) ? batch : {...batch, receivedDay: today})));
    };

    const result = await write(all);
    const devices = new Set(all.map(({deviceKey}) => deviceKey)).size;
    const isDamaged = devices > 1 && result.refused.filter(({scope}) => scope === 'row').length === all.length;
    if (!isDamaged || (await store.answers(shardId))) return result;
    return blameShard(all, result.refused[0]?.reason ?? '');
  };
};

const refusal = (batch: Batch, reason: string): Refused => ({batch, reason, scope: 'batch'});
