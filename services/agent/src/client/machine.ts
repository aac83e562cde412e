/**
 * When a device talks and what it says next: functions of values. The shell in device.ts does what {@link decide} says and feeds the answer to
 * {@link afterSync} or {@link afterEnrol}. Times are milliseconds of a monotonic clock; a device's wall clock decides nothing.
 */
import type {Answer, EnrolOutcome} from './answer.ts';
import {LONGEST_WAIT_MS, waitAfterFailureMs, waitForQuotaMs} from './backoff.ts';
import type {Batch, Outbox, OutboxEntry} from './outbox.ts';
import {DEFAULT_POLICY, type Policy, type Reason, type SyncAnswer} from './wire.ts';

/** Batches a device may have accepted and not applied: the region answers 409 beyond it. */
export const WINDOW_BATCHES = 64;

/** After this many gaps in a row that our own copies cannot fill, only a new epoch helps. */
const GAPS_BEFORE_NEW_EPOCH = 3;

/** Content is given up only when it is refused so often in a row: a body that was damaged on its way is refused too. */
const REFUSALS_BEFORE_GIVING_UP = 3;

/** The failure from which waits are shares of `base`. */
const LADDER_BEGINS = 2;

/** A batch that is not applied for so long is sent again, which is always safe. A region's own attempts take some hours at most. */
const RESEND_AFTER_MS = 24 * 3600 * 1000;

export interface Session {
  readonly phase: 'enrol' | 'sync';
  /** Consecutive failures since the last accepted call. */
  readonly failures: number;
  readonly lastError: string | undefined;
  /** Nothing is sent before this. */
  readonly notBeforeMs: number;
  /** The next scheduled sync. */
  readonly dueMs: number;
  readonly dueReason: Reason;
  readonly fullWanted: boolean;
  /** The region asked for a sync, so one is sent even when no reading waits. */
  readonly syncWanted: boolean;
  /** The next enrolment uses a new secret, which makes a new epoch. */
  readonly newSecretWanted: boolean;
  /**
   * The region has said how far it is in our epoch since we started. Before that nothing is numbered: our storage may be a backup that was restored, or a
   * copy of a card, and its numbers used already.
   */
  readonly isPositionKnown: boolean;
  readonly policy: Policy;
  /** Most records a batch may have: the policy's, or less after a 413. */
  readonly recordLimit: number;
  /** Attempts of the batch at the head. */
  readonly attempt: number;
  /** Refusals in a row of the batch at the head. */
  readonly refusals: number;
  /** The oldest batch that is accepted and not applied, and since when we have waited for it. */
  readonly awaited: {readonly epoch: string; readonly batchSeq: number; readonly sinceMs: number} | undefined;
  readonly configRev: number | undefined;
  /** The home region's address, where another one said so. */
  readonly home: string | undefined;
}

/** @param numbered whether the outbox has given out numbers in its epoch */
export const startSession = (
  enrolled: boolean,
  numbered: boolean,
  nowMs: number,
  policy: Policy = DEFAULT_POLICY,
): Session => ({
  phase: enrolled ? 'sync' : 'enrol',
  failures: 0,
  lastError: undefined,
  notBeforeMs: nowMs,
  dueMs: nowMs,
  dueReason: 'boot',
  fullWanted: false,
  syncWanted: false,
  newSecretWanted: false,
  isPositionKnown: !numbered,
  policy,
  recordLimit: policy.maxRecords,
  attempt: 1,
  refusals: 0,
  awaited: undefined,
  configRev: undefined,
  home: undefined,
});

export type Action =
  | {readonly kind: 'wait'; readonly untilMs: number}
  | {readonly kind: 'enrol'; readonly newSecret: boolean}
  | {readonly kind: 'send'; readonly batch: Batch}
  /** Seal a batch with the oldest `count` readings, then decide again. */
  | {readonly kind: 'seal'; readonly count: number; readonly mode: 'delta' | 'full'; readonly reason: Reason}
  /** A heartbeat: says that we live, and asks what of `epoch` is applied. */
  | {readonly kind: 'heartbeat'; readonly epoch: string; readonly reason: Reason};

export const decide = (session: Session, outbox: Outbox, nowMs: number): Action => {
  if (nowMs < session.notBeforeMs) return {kind: 'wait', untilMs: session.notBeforeMs};
  if (session.newSecretWanted || session.phase === 'enrol' || outbox.epoch === undefined) {
    return {kind: 'enrol', newSecret: session.newSecretWanted};
  }
  if (!session.isPositionKnown) return {kind: 'heartbeat', epoch: outbox.epoch, reason: session.dueReason};
  const head = outbox.toSend;
  if (head !== undefined) return {kind: 'send', batch: head};
  if (nowMs < session.dueMs) return {kind: 'wait', untilMs: session.dueMs};
  const oldest = outbox.batches[0];
  const ask = {kind: 'heartbeat', epoch: oldest?.epoch ?? outbox.epoch, reason: session.dueReason} as const;
  if (outbox.lastBatchSeq - outbox.applied >= WINDOW_BATCHES) return ask;
  if (outbox.queued === 0 && !session.syncWanted) return ask;
  const mode = session.fullWanted ? 'full' : 'delta';
  return {kind: 'seal', count: Math.min(outbox.queued, session.recordLimit), mode, reason: session.dueReason};
};

export interface Step {
  readonly session: Session;
  readonly entries: readonly OutboxEntry[];
}

export interface Chance {
  readonly nowMs: number;
  /** Uniform in [0, 1). */
  readonly random: number;
  /** The policy's waits are multiplied by this; 1 for a real device, less where a simulation is in a hurry. */
  readonly backoffScale?: number;
}

const scaled = ({base, cap, edgeJitter}: Policy['backoff'], by: number): Policy['backoff'] => ({
  base: base * by,
  cap: cap * by,
  edgeJitter: edgeJitter * by,
});

const backoffOf = ({policy}: Session, {backoffScale = 1}: Chance): Policy['backoff'] =>
  scaled(policy.backoff, backoffScale);

const failed = (session: Session, error: string, retryAfterMs: number | undefined, chance: Chance): Session => {
  const failures = session.failures + 1;
  const waitMs = waitAfterFailureMs({failures, retryAfterMs}, backoffOf(session, chance), chance.random);
  return {
    ...session,
    failures,
    lastError: error,
    attempt: session.attempt + 1,
    refusals: 0,
    notBeforeMs: chance.nowMs + waitMs,
    // A home region that does not answer is forgotten: ask the configured address again.
    home: failures >= 3 ? undefined : session.home,
  };
};

/** @returns milliseconds until the region wants to hear from us, by the distance of two of *its* times. */
const scheduledInMs = (answer: SyncAnswer): number => {
  if (answer.nextSyncAt === undefined || answer.serverTime === undefined) return LONGEST_WAIT_MS;
  return Math.min(Math.max(answer.nextSyncAt - answer.serverTime, 1000), LONGEST_WAIT_MS);
};

const awaitedAfter = (
  session: Session,
  sent: {readonly epoch: string},
  {applied}: SyncAnswer,
  outbox: Outbox,
  nowMs: number,
): Session['awaited'] => {
  const oldest = outbox.batches.find(
    (batch) => batch.accepted && !(batch.epoch === sent.epoch && batch.batchSeq <= applied),
  );
  if (oldest === undefined) return undefined;
  const {epoch, batchSeq} = oldest;
  const isSame = session.awaited?.epoch === epoch && session.awaited.batchSeq === batchSeq;
  return {epoch, batchSeq, sinceMs: isSame ? session.awaited.sinceMs : nowMs};
};

const accepted = (
  session: Session,
  sent: Batch | {readonly epoch: string},
  answer: SyncAnswer,
  outbox: Outbox,
  chance: Chance,
): Step => {
  const {nowMs} = chance;
  const forced = answer.commands.some(({type}) => type === 'sync.full' || type === 'sync.delta');
  const continueNow = forced || (answer.continueNow && outbox.queued > 0);
  const isBatch = 'batchSeq' in sent;
  const isPresent = sent.epoch === outbox.epoch;
  const applied = isPresent ? Math.max(outbox.applied, answer.applied) : outbox.applied;
  // Nothing can be numbered until more is applied: to ask at once, and again, would not hurry it.
  const pauseMs =
    outbox.lastBatchSeq - applied < WINDOW_BATCHES
      ? 0
      : waitAfterFailureMs(
          {failures: LADDER_BEGINS, retryAfterMs: undefined},
          backoffOf(session, chance),
          chance.random,
        );
  // The first word after a start says nothing of when to sync.
  const wasKnown = session.isPositionKnown;
  const awaited = awaitedAfter(session, sent, answer, outbox, nowMs);
  const isOverdue = awaited !== undefined && nowMs - awaited.sinceMs >= RESEND_AFTER_MS;
  const next: Session = {
    ...session,
    awaited: isOverdue ? undefined : awaited,
    failures: 0,
    attempt: 1,
    refusals: 0,
    lastError: undefined,
    notBeforeMs: nowMs,
    dueMs: continueNow ? nowMs + pauseMs : wasKnown ? nowMs + scheduledInMs(answer) : session.dueMs,
    dueReason: forced ? 'forced' : wasKnown ? 'scheduled' : session.dueReason,
    fullWanted: answer.commands.some(({type}) => type === 'sync.full') || (session.fullWanted && !isBatch),
    syncWanted: forced || (session.syncWanted && !isBatch),
    newSecretWanted:
      answer.commands.some(({type}) => type === 'epoch.new') ||
      // It has numbers that we never gave out: what we have is older than what was sent from it.
      (isPresent && answer.applied > outbox.lastBatchSeq),
    isPositionKnown: wasKnown || isPresent,
    policy: answer.policy,
    recordLimit: Math.min(answer.policy.maxRecords, Math.max(session.recordLimit * 2, 1)),
    configRev: answer.config?.rev ?? session.configRev,
  };
  const entries: OutboxEntry[] = [];
  if (isBatch) entries.push({op: 'accepted', epoch: sent.epoch, batchSeq: sent.batchSeq});
  if (answer.applied > 0) entries.push({op: 'applied', epoch: sent.epoch, through: answer.applied});
  if (typeof answer.cmdCursor === 'string' && answer.cmdCursor !== outbox.cmdCursor) {
    entries.push({op: 'cursor', cmdCursor: answer.cmdCursor});
  }
  if (isOverdue) entries.push({op: 'resend', epoch: awaited.epoch, from: awaited.batchSeq});
  return {session: next, entries};
};

/** Content that the region does not take: it is given up once it was refused often enough. */
const refused = (session: Session, batch: Batch | undefined, error: string, chance: Chance): Step => {
  const refusals = session.refusals + 1;
  if (batch === undefined || batch.records.length === 0 || refusals < REFUSALS_BEFORE_GIVING_UP) {
    return {session: {...failed(session, error, undefined, chance), refusals}, entries: []};
  }
  return {
    session: {...session, lastError: error, refusals: 0},
    entries: [{op: 'withdraw', epoch: batch.epoch, batchSeq: batch.batchSeq}],
  };
};

/** What a device that got this answer does next. `sent` is the batch, or the epoch that a heartbeat asked for. */
export const afterSync = (
  session: Session,
  sent: Batch | {readonly epoch: string},
  answer: Answer,
  outbox: Outbox,
  chance: Chance,
): Step => {
  const batch = 'batchSeq' in sent ? sent : undefined;
  switch (answer.kind) {
    case 'accepted':
      return accepted(session, sent, answer.sync, outbox, chance);
    case 'later':
      return {session: failed(session, answer.error, answer.retryAfterMs, chance), entries: []};
    case 'over-quota': {
      // Neither a failure nor a success: it says nothing of the region, nor of the batch.
      const notBeforeMs = chance.nowMs + waitForQuotaMs(answer.retryAfterMs, chance.random);
      return {
        session: {...session, lastError: answer.error, attempt: session.attempt + 1, notBeforeMs},
        entries: [],
      };
    }
    case 'enrol-again': {
      const next = failed(session, answer.error, undefined, chance);
      if (answer.epochUnknown) {
        const isPresent = sent.epoch === outbox.epoch;
        // What it never gave out it never took, also where it said so in a life that it lost: our copies are all there is.
        const entries: OutboxEntry[] = [{op: 'reopen', epoch: sent.epoch}];
        if (isPresent) entries.push({op: 'leave'});
        return {session: isPresent ? {...next, phase: 'enrol'} : next, entries};
      }
      return {
        session: {
          ...next,
          phase: 'enrol',
          // A region that applied our batches and does not know us any more has lost its data: our numbers mean nothing to it.
          newSecretWanted: session.newSecretWanted || outbox.applied > 0,
        },
        entries: [],
      };
    }
    case 'wrong-region':
      return {session: {...failed(session, answer.error, undefined, chance), home: answer.home}, entries: []};
    case 'gap': {
      const next = failed(session, answer.error, undefined, chance);
      const {expected} = answer;
      const kept = outbox.batches.some(({epoch, batchSeq}) => epoch === sent.epoch && batchSeq === expected);
      if (expected !== undefined && kept) {
        return {session: next, entries: [{op: 'resend', epoch: sent.epoch, from: expected}]};
      }
      // The region lost what it had said was applied. 409 means that this batch was not taken, so its readings may be numbered again.
      if (next.failures < GAPS_BEFORE_NEW_EPOCH) return {session: next, entries: []};
      return {session: {...next, newSecretWanted: true}, entries: [{op: 'reopen'}]};
    }
    case 'too-large': {
      const isSmallest = batch === undefined || batch.records.length <= 1;
      if (isSmallest && answer.byRegion) return refused(session, batch, answer.error, chance);
      if (isSmallest) return {session: failed(session, answer.error, undefined, chance), entries: []};
      // Behind it are batches that were taken once and are sent again: numbered anew, their records would be there twice.
      if (outbox.batches.some(({accepted: taken, batchSeq}) => !taken && batchSeq !== batch.batchSeq)) {
        return {session: failed(session, answer.error, undefined, chance), entries: []};
      }
      const half = Math.floor(batch.records.length / 2);
      const recordLimit = Math.max(1, Math.min(half, answer.maxRecords ?? half));
      // At once: between two batches that are taken there are no more of these than halves.
      return {session: {...session, recordLimit, dueMs: chance.nowMs, refusals: 0}, entries: [{op: 'reopen'}]};
    }
    case 'refused':
      return refused(session, batch, answer.error, chance);
  }
};

export const afterEnrol = (session: Session, outcome: EnrolOutcome, outbox: Outbox, chance: Chance): Step => {
  if (outcome.kind === 'later') {
    return {session: failed(session, outcome.error, outcome.retryAfterMs, chance), entries: []};
  }
  const {epoch, policy} = outcome.answer;
  const entries: OutboxEntry[] = [];
  if (epoch !== outbox.epoch) {
    // The region was restored to a time before it gave out this name: batches sealed under it would collide.
    if (outbox.batches.some((batch) => batch.epoch === epoch)) entries.push({op: 'reopen', epoch});
    entries.push({op: 'epoch', epoch});
  }
  return {
    // Failures are kept until a sync succeeds: a credential that is refused right after enrolment must not become a tight loop.
    session: {
      ...session,
      phase: 'sync',
      newSecretWanted: false,
      isPositionKnown: session.isPositionKnown || epoch !== outbox.epoch,
      policy,
      recordLimit: policy.maxRecords,
    },
    entries,
  };
};

/** Makes the device due now, without shortening a back-off. */
export const wakeUp = (session: Session, reason: Reason, nowMs: number): Session => ({
  ...session,
  dueMs: Math.min(session.dueMs, nowMs),
  dueReason: reason,
  syncWanted: true,
});
