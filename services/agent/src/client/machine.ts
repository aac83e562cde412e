/**
 * When a device talks and what it says next: functions of values. The shell in device.ts does what {@link decide} says and feeds the answer to
 * {@link afterSync} or {@link afterEnrol}. Times are milliseconds of a monotonic clock; a device's wall clock decides nothing.
 */
import type {Answer, EnrolOutcome} from './answer.ts';
import {appliedEntries, unanswered} from './applied.ts';
import {waitForQuotaMs} from './backoff.ts';
import type {Batch, Outbox, OutboxEntry} from './outbox.ts';
import {afterSilence, isDoubtful, isProbeDue, REFUSALS_BEFORE_GIVING_UP, reopened, smaller} from './narrow-way.ts';
import {barredAfter, heardAfter, longestUnheard, lostBatch, missedAfter, stuckBatch, sentAgain} from './resend.ts';
import {nameOf, type Session, type Step} from './session.ts';
import {beforeEnrolment, type Chance, failed, LADDER_BEGINS, scheduledInMs, waitMs} from './waits.ts';
import type {JsonObject, Reason, SyncAnswer} from './wire.ts';

/** Batches a device may have accepted and not applied: the region answers 409 beyond it. */
export const WINDOW_BATCHES = 64;

/** After this many gaps in a row that our own copies cannot fill, only a new epoch helps. */
const GAPS_BEFORE_NEW_EPOCH = 3;

/** An enrolment that lasted so long was a good one, and the next need not wait. */
const GOOD_ENROLMENT_MS = 24 * 3600 * 1000;

/** So often at most an older epoch is asked about before a batch of the present one is sealed. */
const ASK_OLDER_MS = 3600 * 1000;

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
  const {blocked} = session;
  if (blocked !== undefined && outbox.batches.some((batch) => nameOf(batch) === nameOf(blocked))) {
    return {kind: 'heartbeat', epoch: blocked.epoch, reason: session.dueReason};
  }
  const head = outbox.toSend;
  if (head !== undefined && isProbeDue(session)) {
    return {kind: 'heartbeat', epoch: head.epoch, reason: session.dueReason};
  }
  if (head !== undefined) return {kind: 'send', batch: head};
  if (nowMs < session.dueMs) return {kind: 'wait', untilMs: session.dueMs};
  const ask = (epoch: string) => ({kind: 'heartbeat', epoch, reason: session.dueReason}) as const;
  // What waits of an older epoch is mentioned in no answer to what is sealed now.
  const older = longestUnheard(
    session,
    outbox.batches.filter(({epoch}) => epoch !== present),
  );
  if (older !== undefined && nowMs - older.heardMs >= ASK_OLDER_MS) return ask(older.epoch);
  // Only what is applied of the present epoch gives room for a number.
  if (outbox.lastBatchSeq - outbox.applied >= WINDOW_BATCHES) return ask(present);
  if (outbox.areNumbersLost || (outbox.queued === 0 && !session.syncWanted)) {
    return ask(longestUnheard(session, outbox.batches)?.epoch ?? present);
  }
  const mode = session.fullWanted ? 'full' : 'delta';
  return {kind: 'seal', count: Math.min(outbox.queued, session.recordLimit), mode, reason: session.dueReason};
};

/** What is written down with a batch that is sealed, and the session after it: the batch is the answer to the commands that wait. */
export const afterSeal = (
  session: Session,
  seal: Action & {kind: 'seal'},
  state: JsonObject | undefined,
  {epoch = '', lastBatchSeq}: Outbox,
): Step => {
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
      untaken: nameOf({epoch, batchSeq: lastBatchSeq + 1}),
    },
    entries,
  };
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
  // It was asked on the way to the next batch, which is as due as before.
  const isBesides = !isBatch && !isPresent && !isForced && (outbox.queued > 0 || session.syncWanted);
  const due = isBesides ? {} : dueAfter(session, answer, isForced, outbox.queued, chance);
  const applied = isPresent ? Math.max(outbox.applied, answer.applied) : outbox.applied;
  // Nothing can be numbered until more is applied: to ask at once, and again, would not hurry it.
  const isWindowFull = outbox.lastBatchSeq - applied >= WINDOW_BATCHES;
  const asksInVain = isWindowFull && applied <= outbox.applied ? session.asksInVain + 1 : 0;
  const pauseMs =
    isWindowFull && due.isScheduled === false ? waitMs(session, LADDER_BEGINS + session.asksInVain, chance) : 0;
  const isWaitCounted =
    !isBesides &&
    (!session.isPositionKnown || (session.isScheduled && nowMs >= session.dueMs)) &&
    outbox.batches.some((batch) => batch.accepted);
  const {awaited, missed, inherited} = missedAfter(session, {epoch: sent.epoch, applied: answer.applied}, outbox, {
    ...{nowMs, isWaitCounted},
    isWindowFull: isWindowFull && isPresent,
  });
  const said = {epoch: sent.epoch, applied: answer.applied};
  const stuck = isBatch ? undefined : stuckBatch(session, said, outbox);
  const lost = lostBatch(session, said, outbox, nowMs);
  const {barredUntilMs, times, stops} = barredAfter(session, stuck, outbox, nowMs);
  // It has numbers that we never gave out: what we have is older than what was sent from it.
  const isCopy = isPresent && answer.applied > outbox.lastBatchSeq;
  const theirs = isCopy ? unanswered(sent.epoch, sent, outbox) : [];
  const after: Session = {
    ...session,
    ...due,
    // What is behind it, or numbered anew, waits for nothing.
    dueMs: stuck !== undefined || lost !== undefined ? nowMs : (due.dueMs ?? session.dueMs) + pauseMs,
    awaited,
    inherited,
    barredUntilMs,
    isProbed: !isBatch,
    heardMs: heardAfter(session, sent.epoch, outbox, nowMs),
    asksInVain,
    failures: 0,
    attempt: 1,
    refusals: 0,
    gaps: isBatch ? 0 : session.gaps,
    blocked: undefined,
    lastError: undefined,
    notBeforeMs: nowMs,
    fullWanted: isFull || session.fullWanted,
    syncWanted: isForced || session.syncWanted,
    answering,
    epochCommand,
    // Only a batch carries them to where commands are closed.
    cmdAcks: isBatch ? done : [...new Set([...session.cmdAcks, ...done])],
    newSecretWanted: epochCommand !== undefined || isCopy || outbox.areNumbersLost,
    isPositionKnown: !isCopy && (session.isPositionKnown || isPresent),
    enrolments: nowMs - session.enrolledMs >= GOOD_ENROLMENT_MS ? 0 : session.enrolments,
    policy: answer.policy,
    recordLimit: Math.min(answer.policy.maxRecords, session.narrowed, Math.max(session.recordLimit * 2, 1)),
    configRev: answer.config?.rev ?? session.configRev,
  };
  const next = theirs.reduce(reopened, after);
  const entries: OutboxEntry[] = [...times];
  if (isWaitCounted) entries.push({op: 'waited'});
  if (isBatch) entries.push({op: 'accepted', epoch: sent.epoch, batchSeq: sent.batchSeq});
  entries.push(...appliedEntries(session, said, theirs));
  if (lost !== undefined) entries.push({op: 'vacate', epoch: lost.epoch, batchSeq: lost.batchSeq});
  else if (missed !== undefined) entries.push(sentAgain(missed, said, outbox));
  entries.push(...stops);
  return {session: next.newSecretWanted ? beforeEnrolment(next, chance) : next, entries};
};

/** The first success under a new credential: from here on it is ours, and the epoch too. */
const confirmed = (
  session: Session,
  given: NonNullable<Session['confirming']>,
  answer: SyncAnswer,
  outbox: Outbox,
  chance: Chance,
): Step => {
  const next = {...session, confirming: undefined, lastError: undefined, attempt: 1, policy: answer.policy};
  // Somebody has numbered in it already: a copy of our card. What we gave out ourselves came after the confirmation.
  if (answer.applied > 0) {
    return {session: beforeEnrolment({...next, newSecretWanted: true}, chance), entries: []};
  }
  return begun({...next, notBeforeMs: chance.nowMs, isPositionKnown: true}, outbox, given);
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

/** A batch that misses others before it. */
const gap = (
  session: Session,
  batch: Batch | undefined,
  {error, expected}: Answer & {kind: 'gap'},
  outbox: Outbox,
  chance: Chance,
): Step => {
  const next: Session = {...failed(session, error, undefined, chance), gaps: session.gaps + 1};
  if (batch === undefined) return {session: next, entries: []};
  const {epoch, batchSeq} = batch;
  if (expected !== undefined && outbox.batches.some((one) => one.epoch === epoch && one.batchSeq === expected)) {
    return {session: next, entries: [{op: 'resend', epoch, from: expected}]};
  }
  if (next.gaps < GAPS_BEFORE_NEW_EPOCH) return {session: next, entries: []};
  // The region lost what it had said was applied. 409 means that this batch was not taken, so its readings may be numbered again.
  const again = {...reopened(next, batch), gaps: 0};
  const entries: OutboxEntry[] = [
    {op: 'reopen', epoch, batchSeq},
    {op: 'send-once', epoch},
  ];
  return {
    session: epoch === outbox.epoch ? beforeEnrolment({...again, newSecretWanted: true}, chance) : again,
    entries,
  };
};

/** Somebody may have taken what got this answer. All others say that nobody has. */
const mayBeTaken = (answer: Answer): boolean =>
  answer.kind === 'accepted' || (answer.kind === 'later' && answer.isUntaken !== true);

/** What a device that got this answer does next. `sent` is the batch, or the epoch that a heartbeat asked for. */
export const afterSync = (
  session: Session,
  sent: Batch | {readonly epoch: string},
  answer: Answer,
  outbox: Outbox,
  chance: Chance,
): Step => {
  const step = answered(session, sent, answer, outbox, chance);
  if (!('batchSeq' in sent)) return step;
  const next = {...step.session, ...(answer.kind === 'later' ? {} : {unheard: 0})};
  return {...step, session: mayBeTaken(answer) ? {...next, untaken: undefined} : next};
};

const answered = (
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
      return {session: afterSilence(session, batch, answer, chance), entries: []};
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
    case 'gap':
      return gap(session, batch, answer, outbox, chance);
    case 'too-large':
      if (batch !== undefined && batch.records.length > 1) return smaller(session, batch, answer, chance);
      if (answer.isCertain) return refused(session, batch, answer.error, chance);
      if (batch !== undefined && isDoubtful(session, batch)) return smaller(session, batch, answer, chance);
      return {session: failed(session, answer.error, undefined, chance), entries: []};
    case 'too-slow':
      if (batch !== undefined && (batch.records.length > 1 || isDoubtful(session, batch)))
        return smaller(session, batch, answer, chance);
      return {session: failed(session, answer.error, undefined, chance), entries: []};
    case 'refused':
      return refused(session, batch, answer.error, chance);
  }
};

/** Numbers begin anew where the epoch, the secret or the region is another one. */
const begun = (session: Session, outbox: Outbox, given: NonNullable<Session['confirming']>): Step => {
  const {epoch, life, region} = given;
  const {epochCommand} = session;
  const isNew = epoch !== outbox.epoch || life !== outbox.life || outbox.isElsewhere(region);
  const entries: OutboxEntry[] = [];
  // The region was restored to a time before it gave out this name: batches sealed under it would collide.
  if (isNew && outbox.batches.some((batch) => batch.epoch === epoch)) entries.push({op: 'reopen', epoch});
  if (isNew) entries.push({op: 'epoch', epoch, life, region});
  if (epochCommand !== undefined) entries.push({op: 'done', ids: [epochCommand]});
  return {
    session: {
      ...session,
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
    return {
      session: {...next, phase: hasCurrent ? 'sync' : 'enrol', confirming: undefined, blocked: undefined},
      entries: [],
    };
  }
  if (outcome.kind === 'secret-replaced') {
    const next = failed({...answered, newSecretWanted: true, confirming: undefined}, outcome.error, undefined, chance);
    return {session: beforeEnrolment(next, chance), entries: []};
  }
  const {epoch, region, policy} = outcome.answer;
  // Failures are kept until a sync succeeds: a credential that is refused right after enrolment must not become a tight loop.
  const next: Session = {
    ...answered,
    phase: 'sync',
    policy,
    recordLimit: Math.min(policy.maxRecords, session.narrowed),
    confirming: undefined,
  };
  if (isReplacing) return {session: {...next, confirming: {epoch, life, region}}, entries: []};
  // The region may have given this epoch before: the secret is that of a copy, or of a backup.
  const isSame = epoch === outbox.epoch && life === outbox.life && !outbox.isElsewhere(region);
  const isKnown = session.isPositionKnown && isSame;
  return begun({...next, isPositionKnown: isKnown}, outbox, {epoch, life, region});
};
