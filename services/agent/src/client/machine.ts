/**
 * When a device talks and what it says next: functions of values. The shell in device.ts does what {@link decide} says and feeds the answer to
 * {@link afterSync} or {@link afterEnrol}. Times are milliseconds of a monotonic clock; a device's wall clock decides nothing.
 */
import type {Answer, EnrolOutcome} from './answer.ts';
import {waitForQuotaMs} from './backoff.ts';
import type {Batch, Outbox, OutboxEntry} from './outbox.ts';
import {nameOf, type Session} from './session.ts';
import {beforeEnrolment, type Chance, failed, LADDER_BEGINS, scheduledInMs, waitMs} from './waits.ts';
import type {JsonObject, Reason, SyncAnswer} from './wire.ts';

/** Batches a device may have accepted and not applied: the region answers 409 beyond it. */
export const WINDOW_BATCHES = 64;

/** After this many gaps in a row that our own copies cannot fill, only a new epoch helps. */
const GAPS_BEFORE_NEW_EPOCH = 3;

/** Content is given up only when it is refused so often in a row: a body that was damaged on its way is refused too. */
const REFUSALS_BEFORE_GIVING_UP = 3;

/** A batch that is not applied for so long is sent again, which is always safe. A region's own attempts take some hours at most. */
const RESEND_AFTER_MS = 24 * 3600 * 1000;

/** What was accepted before a start has no time that is known; it is sent again when so many scheduled answers did not say that it is applied. */
const RESEND_AFTER_ANSWERS = 2;

/** An enrolment that lasted so long was a good one, and the next need not wait. */
const GOOD_ENROLMENT_MS = 24 * 3600 * 1000;

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
  const present = session.confirming?.epoch ?? outbox.epoch;
  if (session.newSecretWanted || session.phase === 'enrol' || present === undefined) {
    return {kind: 'enrol', newSecret: session.newSecretWanted};
  }
  if (session.confirming !== undefined || !session.isPositionKnown) {
    return {kind: 'heartbeat', epoch: present, reason: session.dueReason};
  }
  const head = outbox.toSend;
  if (head !== undefined) return {kind: 'send', batch: head};
  if (nowMs < session.dueMs) return {kind: 'wait', untilMs: session.dueMs};
  const oldest = outbox.batches[0];
  const ask = {kind: 'heartbeat', epoch: oldest?.epoch ?? present, reason: session.dueReason} as const;
  if (outbox.lastBatchSeq - outbox.applied >= WINDOW_BATCHES) return ask;
  if (outbox.queued === 0 && !session.syncWanted) return ask;
  const mode = session.fullWanted ? 'full' : 'delta';
  return {kind: 'seal', count: Math.min(outbox.queued, session.recordLimit), mode, reason: session.dueReason};
};

/** What is written down with a batch that is sealed, and the session after it: the batch is the answer to the commands that wait. */
export const afterSeal = (session: Session, seal: Action & {kind: 'seal'}, state: JsonObject | undefined): Step => {
  const {count, mode, reason} = seal;
  const ids = session.answering;
  const entries: OutboxEntry[] = [{op: 'seal', count, mode, reason, ...(state === undefined ? {} : {state})}];
  if (ids.length > 0) entries.push({op: 'done', ids});
  return {
    session: {
      ...session,
      fullWanted: false,
      syncWanted: false,
      answering: [],
      cmdAcks: [...session.cmdAcks, ...ids],
    },
    entries,
  };
};

export interface Step {
  readonly session: Session;
  readonly entries: readonly OutboxEntry[];
}

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

/** The oldest batch of before the start that so many scheduled answers did not mention, this one included. */
const forgotten = (
  {inherited}: Session,
  sent: {readonly epoch: string},
  {applied}: SyncAnswer,
  outbox: Outbox,
): Batch | undefined =>
  outbox.batches.find(
    (batch) =>
      batch.accepted &&
      inherited.has(nameOf(batch)) &&
      !(batch.epoch === sent.epoch && batch.batchSeq <= applied) &&
      (batch.waits ?? 0) + 1 >= RESEND_AFTER_ANSWERS,
  );

/** Without those that are sent again from `missed` on. */
const without = (
  inherited: Session['inherited'],
  {epoch, batchSeq}: Pick<Batch, 'epoch' | 'batchSeq'>,
  {batches}: Outbox,
): Session['inherited'] => {
  const again = new Set(batches.filter((b) => b.epoch === epoch && b.batchSeq >= batchSeq).map(nameOf));
  return new Set([...inherited].filter((name) => !again.has(name)));
};

/** When to come back after an answer, and with what reason. */
const dueAfter = (session: Session, answer: SyncAnswer, isForced: boolean, left: number, chance: Chance) => {
  const {nowMs} = chance;
  const isKnown = session.isPositionKnown;
  if (isForced || (answer.continueNow && left > 0)) {
    const dueReason = isForced ? 'forced' : isKnown ? 'scheduled' : session.dueReason;
    return {dueMs: nowMs, dueReason, isScheduled: false} as const;
  }
  // The first word after a start says nothing of when to sync.
  if (!isKnown) return {};
  return {dueMs: nowMs + scheduledInMs(answer), dueReason: 'scheduled', isScheduled: true} as const;
};

/** What the region asks for and was not done before. */
const ordersOf = (session: Session, {commands}: SyncAnswer, outbox: Outbox) => {
  const isDone = ({id}: {readonly id: string}): boolean => outbox.done.includes(id);
  const open = commands.filter((command) => !isDone(command));
  const syncs = open.filter(({type}) => type === 'sync.full' || type === 'sync.delta');
  return {
    isFull: syncs.some(({type}) => type === 'sync.full'),
    answering: [...new Set([...session.answering, ...syncs.map(({id}) => id)])],
    epochCommand: open.find(({type}) => type === 'epoch.new')?.id,
    // Of those that are done, the region lists what it has not heard of, or the batch of which is not applied yet.
    done: commands.filter(isDone).map(({id}) => id),
  };
};

const accepted = (
  session: Session,
  sent: Batch | {readonly epoch: string},
  answer: SyncAnswer,
  outbox: Outbox,
  chance: Chance,
): Step => {
  const {nowMs} = chance;
  const isBatch = 'batchSeq' in sent;
  const isPresent = sent.epoch === outbox.epoch;
  const {isFull, answering, epochCommand, done} = ordersOf(session, answer, outbox);
  const isForced = answering.length > 0;
  const due = dueAfter(session, answer, isForced, outbox.queued, chance);
  const applied = isPresent ? Math.max(outbox.applied, answer.applied) : outbox.applied;
  // Nothing can be numbered until more is applied: to ask at once, and again, would not hurry it.
  const isWindowFull = outbox.lastBatchSeq - applied >= WINDOW_BATCHES;
  const pauseMs = isWindowFull && due.isScheduled === false ? waitMs(session, LADDER_BEGINS, chance) : 0;
  const awaited = awaitedAfter(session, sent, answer, outbox, nowMs);
  const isOverdue = awaited !== undefined && nowMs - awaited.sinceMs >= RESEND_AFTER_MS;
  const isWaitCounted = session.isScheduled && nowMs >= session.dueMs && outbox.batches.some((batch) => batch.accepted);
  const missed = isOverdue ? awaited : isWaitCounted ? forgotten(session, sent, answer, outbox) : undefined;
  // It has numbers that we never gave out: what we have is older than what was sent from it.
  const isCopy = isPresent && answer.applied > outbox.lastBatchSeq;
  const next: Session = {
    ...session,
    ...due,
    dueMs: (due.dueMs ?? session.dueMs) + pauseMs,
    awaited: missed === undefined ? awaited : undefined,
    inherited: missed === undefined ? session.inherited : without(session.inherited, missed, outbox),
    failures: 0,
    attempt: 1,
    refusals: 0,
    lastError: undefined,
    notBeforeMs: nowMs,
    fullWanted: isFull || session.fullWanted,
    syncWanted: isForced || session.syncWanted,
    answering,
    epochCommand,
    // Only a batch carries them to where commands are closed.
    cmdAcks: isBatch ? done : [...new Set([...session.cmdAcks, ...done])],
    newSecretWanted: epochCommand !== undefined || isCopy,
    isPositionKnown: !isCopy && (session.isPositionKnown || isPresent),
    enrolments: nowMs - session.enrolledMs >= GOOD_ENROLMENT_MS ? 0 : session.enrolments,
    policy: answer.policy,
    recordLimit: Math.min(answer.policy.maxRecords, Math.max(session.recordLimit * 2, 1)),
    configRev: answer.config?.rev ?? session.configRev,
  };
  const entries: OutboxEntry[] = [];
  if (isWaitCounted) entries.push({op: 'waited'});
  if (isBatch) entries.push({op: 'accepted', epoch: sent.epoch, batchSeq: sent.batchSeq});
  if (answer.applied > 0) entries.push({op: 'applied', epoch: sent.epoch, through: answer.applied});
  if (missed !== undefined) entries.push({op: 'resend', epoch: missed.epoch, from: missed.batchSeq});
  return {session: next.newSecretWanted ? beforeEnrolment(next, chance) : next, entries};
};

/** The first success under a new credential: from here on it is ours, and the epoch too. */
const confirmed = (
  session: Session,
  {epoch, life}: NonNullable<Session['confirming']>,
  answer: SyncAnswer,
  outbox: Outbox,
  chance: Chance,
): Step => {
  const next = {...session, confirming: undefined, lastError: undefined, attempt: 1, policy: answer.policy};
  // Somebody has numbered in it already: a copy of our card. What we gave out ourselves came after the confirmation.
  if (answer.applied > 0) {
    return {session: beforeEnrolment({...next, newSecretWanted: true}, chance), entries: []};
  }
  return begun({...next, notBeforeMs: chance.nowMs}, outbox, epoch, life);
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

/** The batch, which was not taken, as one of half its records. Undefined where it cannot be numbered anew. */
const smaller = (
  session: Session,
  batch: Batch,
  maxRecords: number | undefined,
  outbox: Outbox,
  {nowMs}: Chance,
): Step | undefined => {
  // Behind it are batches that were taken once and are sent again: numbered anew, their records would be there twice.
  if (outbox.batches.some(({accepted: taken, batchSeq}) => !taken && batchSeq !== batch.batchSeq)) return undefined;
  const half = Math.floor(batch.records.length / 2);
  const recordLimit = Math.max(1, Math.min(half, maxRecords ?? half));
  // At once: between two batches that are taken there are no more of these than halves.
  return {session: {...session, recordLimit, dueMs: nowMs, refusals: 0}, entries: [{op: 'reopen'}]};
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
      return session.confirming === undefined
        ? accepted(session, sent, answer.sync, outbox, chance)
        : confirmed(session, session.confirming, answer.sync, outbox, chance);
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
      const isPresent = sent.epoch === (session.confirming?.epoch ?? outbox.epoch);
      if (answer.epochUnknown) {
        // What it never gave out it never took, also where it said so in a life that it lost: our copies are all there is.
        const entries: OutboxEntry[] = [{op: 'reopen', epoch: sent.epoch}];
        return {session: isPresent ? beforeEnrolment({...next, newSecretWanted: true}, chance) : next, entries};
      }
      const again: Session = {
        ...next,
        phase: 'enrol',
        // A region that applied our batches and does not know us any more has lost its data: our numbers mean nothing to it.
        newSecretWanted: session.newSecretWanted || (session.confirming === undefined && outbox.applied > 0),
      };
      return {session: beforeEnrolment(again, chance), entries: []};
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
      return {session: beforeEnrolment({...next, newSecretWanted: true}, chance), entries: [{op: 'reopen'}]};
    }
    case 'too-large': {
      const isSmallest = batch === undefined || batch.records.length <= 1;
      if (isSmallest && answer.isCertain) return refused(session, batch, answer.error, chance);
      if (isSmallest) return {session: failed(session, answer.error, undefined, chance), entries: []};
      return (
        smaller(session, batch, answer.maxRecords, outbox, chance) ?? {
          session: failed(session, answer.error, undefined, chance),
          entries: [],
        }
      );
    }
    case 'too-slow': {
      // One that was sent before may have been taken, its answer lost: it keeps its number and its content.
      const isFirst = batch !== undefined && batch.records.length > 1 && session.attempt === 1;
      const halved = isFirst ? smaller(session, batch, undefined, outbox, chance) : undefined;
      return halved ?? {session: failed(session, answer.error, undefined, chance), entries: []};
    }
    case 'refused':
      return refused(session, batch, answer.error, chance);
  }
};

/** Numbers begin anew where the epoch or the secret is another one. */
const begun = (session: Session, outbox: Outbox, epoch: string, life: string): Step => {
  const {epochCommand} = session;
  const isNew = epoch !== outbox.epoch || life !== outbox.life;
  const entries: OutboxEntry[] = [];
  // The region was restored to a time before it gave out this name: batches sealed under it would collide.
  if (isNew && outbox.batches.some((batch) => batch.epoch === epoch)) entries.push({op: 'reopen', epoch});
  if (isNew) entries.push({op: 'epoch', epoch, life});
  if (epochCommand !== undefined) entries.push({op: 'done', ids: [epochCommand]});
  return {
    session: {
      ...session,
      isPositionKnown: session.isPositionKnown || isNew,
      epochCommand: undefined,
      cmdAcks: epochCommand === undefined ? session.cmdAcks : [epochCommand],
    },
    entries,
  };
};

/** @param isReplacing the device has a credential besides, which it keeps until the new one has been of use */
export const afterEnrol = (
  session: Session,
  outcome: EnrolOutcome,
  outbox: Outbox,
  chance: Chance,
  {life, isReplacing, hasCurrent}: {readonly life: string; readonly isReplacing: boolean; readonly hasCurrent: boolean},
): Step => {
  if (outcome.kind === 'later') {
    return {session: failed(session, outcome.error, outcome.retryAfterMs, chance), entries: []};
  }
  const answered = {...session, enrolments: session.enrolments + 1, enrolledMs: chance.nowMs, newSecretWanted: false};
  if (outcome.kind === 'refused') {
    const next = failed(answered, outcome.error, undefined, chance);
    // The token may have ended: what the device has may still be good.
    return {session: {...next, phase: hasCurrent ? 'sync' : 'enrol', confirming: undefined}, entries: []};
  }
  if (outcome.kind === 'secret-replaced') {
    const next = failed({...answered, newSecretWanted: true, confirming: undefined}, outcome.error, undefined, chance);
    return {session: beforeEnrolment(next, chance), entries: []};
  }
  const {epoch, policy} = outcome.answer;
  // Failures are kept until a sync succeeds: a credential that is refused right after enrolment must not become a tight loop.
  const next: Session = {...answered, phase: 'sync', policy, recordLimit: policy.maxRecords, confirming: undefined};
  return isReplacing ? {session: {...next, confirming: {epoch, life}}, entries: []} : begun(next, outbox, epoch, life);
};
