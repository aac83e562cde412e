import {describeError} from '@pisync/core/errors/app-error';
import {type Timers} from '@pisync/core/lifecycle/timers';
import {workLinked} from '@pisync/core/telemetry/linked-span';
import {type Logger} from '@pisync/core/telemetry/logger';
import {type Tracer} from '@pisync/core/telemetry/tracing';
import {type Applied, type Apply, type Patience, type Refused} from '../apply/apply.ts';
import {type Batch, recordCount} from '../apply/batch.ts';
import {type ShardStore} from '../apply/shard-store.ts';
import {type Written} from '../apply/shard-writer.ts';
import {countWritten, type WorkerMetrics} from '../metrics.ts';
import {type Park} from './park.ts';
import {type ByteGate} from './byte-gate.ts';
import {type Piece, readBatch, recordsOf, weightOf, WHOLE_WINDOW} from './parcel.ts';
import {createPresence} from './presence.ts';
import {createWindows} from './windows.ts';

/** The way of pieces into one shard. Lanes share nothing, so a shard that is away or slow is no other's problem. */
export interface Lane {
  add(piece: Piece): void;
  readonly isAway: () => boolean;
  /** Resolves when nothing is at work any more; for after `stopping`. */
  drain(): Promise<void>;
}

export interface LaneOptions {
  readonly shardId: number;
  /** Windows at work at once, not counting one of parked pieces and one of those that come again. */
  readonly concurrency: number;
  readonly apply: Apply;
  /** Whether the shard takes a write. Never rejects. */
  readonly answers: ShardStore['answers'];
  /** Bodies that are read and applied at once, in all lanes of the process. Parked ones may wait for their shard, and stand in nobody's way but each other's. */
  readonly gates: {readonly fresh: ByteGate; readonly parked: ByteGate};
  /** Tells caches and live viewers what was committed; never rejects. */
  readonly announce: (written: readonly Written[]) => Promise<void>;
  readonly park: Park;
  readonly onRefused: (piece: Piece, refusal: Omit<Refused, 'batch'>) => void;
  readonly onMoved: (pieces: readonly Piece[]) => void;
  readonly onBusy: (pieces: readonly Piece[]) => void;
  /** Called each time that the shard has gone away. */
  readonly onAway: (shardId: number) => void;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  readonly tracer?: Tracer | undefined;
  readonly now: () => number;
  readonly timers: Pick<Timers, 'now' | 'after' | 'sleep'>;
  readonly stopping: AbortSignal;
}

const WINDOW = {weightOf, maxWeight: WHOLE_WINDOW, maxWaitMs: 20} as const;
/** From a fence, which lasts milliseconds, to a server that is being replaced: its return is noticed within the last of these. */
const PAUSE_MS = {first: 50, most: 250, mostParked: 2_000} as const;
/** Far above what a transaction takes. That of parked pieces grows up to what the server allows a statement, so that a slow shard gets somewhere. */
const TIMEOUT_MS = {first: 2_000, most: 16_000} as const;
/** Shorter than what the others would notice, longer than a fence or a deadlock. */
const PATIENCE_MS = 1_000;
/**
 * From whoever has a message in hand for half an hour RabbitMQ takes back all that he has (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout). Before 4.3
 * it closes his channel for that and counts it like a death; from then on it cancels his consumer. What waits for its shard so long goes back to the end of its queue first.
 */
const HOLD_MS = 600_000;
/** Longer than the longest attempt and pause. */
const FORGET_AFTER_MS = 30_000;

/**
 * Windows of pieces that were never parked do not wait for a shard that is away: they are parked, because their deliveries hold pieces of
 * other shards and their place in the prefetch. Parked pieces are what the shard is tried with, however long it takes, in turns.
 */
export const createLane = (options: LaneOptions): Lane => {
  const {shardId, apply, gates, park, metrics, log, tracer, now, timers, stopping} = options;
  const presence = createPresence({
    patienceMs: PATIENCE_MS,
    forgetAfterMs: FORGET_AFTER_MS,
    now: timers.now,
    onChange(change, reason) {
      switch (change) {
        case 'doubtful':
          metrics.pauses.inc({shard: shardId});
          log.warn({shard: shardId, reason}, 'applying to a shard waits');
          break;
        case 'away':
          log.warn({shard: shardId, reason}, 'a shard is away and its batches are parked');
          options.onAway(shardId);
          break;
        case 'back':
          log.info({shard: shardId, reason}, 'a shard is no longer away');
          break;
      }
    },
  });

  let parkedTimeoutMs: number = TIMEOUT_MS.first;

  /** Tries once and settles what can be. */
  const attempt = async (pieces: readonly Piece[], patience: Patience): Promise<Attempt> => {
    const beganAtMs = timers.now();
    // A payload is a view of its own into one message, so it names the piece also after its content was rewritten.
    const pieceOf = new Map(pieces.map((piece) => [piece.batch.payload, piece]));
    const piecesOf = (batches: readonly Batch[]): readonly Piece[] =>
      batches.map(({payload}) => pieceOf.get(payload)).filter((piece) => piece !== undefined);
    const batches = pieces.map(readBatch);
    const {written, refused, moved, busy, undecided, fault, isSlow} = await workLinked({
      tracer,
      name: 'apply window',
      traces: () => pieces.map(({item}) => item.meta.trace),
      attributes: () => ({
        'pisync.shard': shardId,
        'pisync.batches': batches.length,
        'pisync.records': batches.reduce((sum, batch) => sum + recordCount(batch), 0),
      }),
      work: () => apply(shardId, batches, patience),
      outcome: (applied) => ({attributes: {'pisync.outcome': outcomeOf(applied)}, fault: applied.fault}),
    });
    // Rows that others hold say nothing of a shard: one that is slow gives that answer at once.
    const isTold = fault === undefined && busy.length < batches.length;
    if (fault !== undefined) presence.failed(beganAtMs, fault, isSlow);
    else if (isTold) presence.answered(beganAtMs);
    const tookMs = timers.now() - beganAtMs;
    metrics.windowSeconds.observe(tookMs / 1000);
    countWritten(metrics, written, now());
    await options.announce(written);
    for (const {applied, duplicates, conflicts, unproved} of written) {
      for (const piece of piecesOf([...applied, ...duplicates, ...conflicts, ...unproved])) piece.close('settled');
    }
    for (const {batch, ...refusal} of refused) for (const piece of piecesOf([batch])) options.onRefused(piece, refusal);
    if (moved.length > 0) options.onMoved(piecesOf(moved));
    if (busy.length > 0) options.onBusy(piecesOf(busy));
    return {left: piecesOf(undecided), tookMs, isTold};
  };

  /** @returns undefined when the shard is not to be tried with these now */
  const enter = async (pieces: readonly Piece[], mayWait: boolean): Promise<(() => void) | undefined> => {
    const isAlone = pieces.some((piece) => piece.isAlone);
    if (isAlone && !(await isThere())) return undefined;
    const leave = isAlone
      ? await enterAlone()
      : await (mayWait ? gates.parked : gates.fresh).enter(
          shardId,
          pieces.reduce((sum, {batch}) => sum + batch.payload.length, 0),
        );
    // Others may have found out meanwhile.
    if (mayWait || !presence.isAway()) return leave;
    leave();
    return undefined;
  };

  /** With more than a gate lets in one is in there alone. */
  const enterAlone = async (): Promise<() => void> => {
    const leaves: (() => void)[] = [];
    // First where one may have to wait for long, because whoever waits for the second holds the first.
    for (const gate of [gates.parked, gates.fresh]) leaves.push(await gate.enter(shardId, Number.MAX_SAFE_INTEGER));
    return () => leaves.forEach((leave) => leave());
  };

  /** Asked for what keeps all others waiting. */
  const isThere = async (): Promise<boolean> => {
    const beganAtMs = timers.now();
    if (await options.answers(shardId)) return true;
    presence.failed(beganAtMs, 'it does not answer');
    return false;
  };

  /** @returns what is to be tried again */
  const tryOnce = async (pieces: readonly Piece[], mayWait: boolean): Promise<readonly Piece[]> => {
    const leave = await enter(pieces, mayWait);
    if (leave === undefined) return pieces;
    try {
      const timeoutMs = mayWait ? parkedTimeoutMs : TIMEOUT_MS.first;
      // Of those that climb the ladder each is suspect; of the others only what is slow however long one waits.
      const mayHalve = timeoutMs === TIMEOUT_MS.most || pieces.every(({delivery}) => delivery.attempt > 0);
      const tried = await attempt(pieces, {timeoutMs, mayHalve});
      if (mayWait) parkedTimeoutMs = nextTimeout(parkedTimeoutMs, tried);
      return tried.left;
    } finally {
      leave();
    }
  };

  const isHeldLong = ({takenAtMs}: Piece): boolean => timers.now() - takenAtMs >= HOLD_MS;

  const settle = async (pieces: readonly Piece[], mayWait: boolean): Promise<void> => {
    metrics.windowRecords.observe(pieces.reduce((sum, piece) => sum + Math.max(1, recordsOf(piece)), 0));
    let pending = pieces;
    for (let failures = 0; !stopping.aborted; failures++) {
      pending = pending.filter(isInHand);
      if (pending.length === 0) return;
      if (presence.isAway() && (!mayWait || pending.some(isHeldLong))) pending = await park(pending, shardId);
      else pending = await tryOnce(pending, mayWait);
      if (pending.length === 0) return;
      await timers.sleep(
        Math.min(PAUSE_MS.first * 2 ** failures, mayWait ? PAUSE_MS.mostParked : PAUSE_MS.most),
        stopping,
      );
    }
    for (const piece of pending) piece.close('given-back');
  };

  const windows = (concurrency: number, mayWait: boolean) =>
    createWindows<Piece>({
      ...WINDOW,
      concurrency,
      after: timers.after,
      async process(pieces) {
        try {
          await settle(pieces, mayWait);
        } catch (error) {
          log.error({shard: shardId, reason: describeError(error)}, 'a window could not be settled and is given back');
          for (const piece of pieces) piece.close('given-back');
        }
      },
    });
  const fresh = windows(options.concurrency, false);
  const parked = windows(1, true);
  /** Of pieces that were tried before, so that those which fail again cost the others no time. */
  const again = windows(1, false);
  const windowsOf = ({returns, isParked, isAlone, delivery}: Piece) => {
    if (returns > 0 || isAlone === true) return again;
    if (isParked) return parked;
    return delivery.attempt > 0 ? again : fresh;
  };

  return {
    add: (piece) => windowsOf(piece).add(piece, piece.isUrgent),
    isAway: () => presence.isAway(),
    async drain() {
      await Promise.all([fresh.drain(), parked.drain(), again.drain()]);
    },
  };
};

const outcomeOf = ({refused, moved, busy, undecided, fault}: Applied): 'applied' | 'partial' | 'failed' => {
  if (fault !== undefined) return 'failed';
  return refused.length + moved.length + busy.length + undecided.length === 0 ? 'applied' : 'partial';
};

interface Attempt {
  /** To be tried again. */
  readonly left: readonly Piece[];
  readonly tookMs: number;
  /** Whether the shard took something, or said why not: only then its time says how fast it is. */
  readonly isTold: boolean;
}

/**
 * Twice as long after an attempt that took all of the time, and back by halves when those that write take little of it. A transaction that was given up holds its
 * rows until the shard notices, so the next attempt finds them held, at once: that is no sign of speed.
 */
const nextTimeout = (timeoutMs: number, {tookMs, isTold}: Attempt): number => {
  if (tookMs >= timeoutMs) return Math.min(timeoutMs * 2, TIMEOUT_MS.most);
  return isTold && tookMs * 4 < timeoutMs ? Math.max(timeoutMs / 2, TIMEOUT_MS.first) : timeoutMs;
};

/** What the broker delivers again is not kept here as well, however often its connection breaks. */
const isInHand = (piece: Piece): boolean => {
  if (piece.delivery.isLost()) piece.close('given-back');
  return !piece.isClosed();
};
