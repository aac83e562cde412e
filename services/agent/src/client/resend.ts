/** What was accepted and seems to be lost, and from which batch on it is sent again. Sending it again is always safe. */
import type {Batch, Outbox, OutboxEntry} from './outbox.ts';
import {nameOf, type Session} from './session.ts';

/** A batch that is not applied for so long is sent again, which is always safe. A region's own attempts take some hours at most. */
const RESEND_AFTER_MS = 24 * 3600 * 1000;

/**
 * What was accepted before a start has no time that is known. It is sent again when so many answers did not say that it is applied: scheduled ones, and the
 * first after each start, because a device that starts each day may be off whenever the region expects it.
 */
const RESEND_AFTER_ANSWERS = 4;

/** After so long no copy of a batch is on its way any more: a proxy's and a region's own attempts end sooner. What is measured in each run is added up. */
const NO_COPY_AFTER_MS = 6 * 3600 * 1000;

/**
 * What the first answer after a start counts for at least, because nobody knows how long the device was off, and one that runs for a moment each day would
 * measure nothing. So 24 starts are enough, before the 64 numbers of a device that uses one in each run. It is also how often the time is written down.
 */
const START_COUNTS_MS = NO_COPY_AFTER_MS / 24;

/** Of the epoch that the region was asked about. */
interface Applied {
  readonly epoch: string;
  readonly applied: number;
}

const isApplied = (batch: Batch, {epoch, applied}: Applied): boolean =>
  batch.epoch === epoch && batch.batchSeq <= applied;

/** Only it is missing. */
const isNext = (batch: Batch, {epoch, applied}: Applied): boolean =>
  batch.epoch === epoch && batch.batchSeq === applied + 1;

const awaitedAfter = (session: Session, said: Applied, outbox: Outbox, nowMs: number): Session['awaited'] => {
  const oldest = outbox.batches.find((batch) => batch.accepted && !isApplied(batch, said));
  if (oldest === undefined) return undefined;
  const {epoch, batchSeq} = oldest;
  const isSame = session.awaited?.epoch === epoch && session.awaited.batchSeq === batchSeq;
  return {epoch, batchSeq, sinceMs: isSame ? session.awaited.sinceMs : nowMs};
};

/** What is to be added to the time of barred batches, and whether it is so much that it is written down. */
const barredSince = ({barredUntilMs, isPositionKnown}: Session, nowMs: number) => {
  const measuredMs = nowMs - barredUntilMs;
  const ms = isPositionKnown ? measuredMs : Math.max(measuredMs, START_COUNTS_MS);
  return {ms, isEnough: ms >= START_COUNTS_MS};
};

/** It is barred, and a copy of it may be on its way: another one would only begin that time anew. */
const isSpared = (session: Session, {barredMs}: Batch, nowMs: number): boolean =>
  barredMs !== undefined && barredMs + barredSince(session, nowMs).ms < NO_COPY_AFTER_MS;

/** The oldest batch of before the start that so many answers did not mention, this one included. */
const forgotten = (session: Session, said: Applied, {batches}: Outbox, nowMs: number): Batch | undefined =>
  batches.find(
    (batch) =>
      batch.accepted &&
      session.inherited.has(nameOf(batch)) &&
      !isSpared(session, batch, nowMs) &&
      !isApplied(batch, said) &&
      (batch.waits ?? 0) + 1 >= RESEND_AFTER_ANSWERS,
  );

/**
 * What a device that has stopped, because nothing of its window is applied, was told before it started that it is accepted. Neither a time nor a 409 will
 * show that it is lost.
 */
const stopping = (session: Session, said: Applied, {batches}: Outbox, nowMs: number): Batch | undefined =>
  batches.find(
    (batch) =>
      batch.accepted && session.inherited.has(nameOf(batch)) && !isSpared(session, batch, nowMs) && isNext(batch, said),
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

/** @param seen whether this answer counts as one that did not mention what is accepted, and whether nothing more can be numbered in the epoch it is about */
export const missedAfter = (
  session: Session,
  said: Applied,
  outbox: Outbox,
  {nowMs, isWaitCounted, isWindowFull}: {nowMs: number; isWaitCounted: boolean; isWindowFull: boolean},
): Pick<Session, 'awaited' | 'inherited'> & {
  readonly missed: Pick<Batch, 'epoch' | 'batchSeq'> | undefined;
} => {
  const awaited = awaitedAfter(session, said, outbox, nowMs);
  const waitedMs = awaited === undefined ? 0 : nowMs - awaited.sinceMs;
  const missed =
    (waitedMs >= RESEND_AFTER_MS ? awaited : undefined) ??
    (isWindowFull ? stopping(session, said, outbox, nowMs) : undefined) ??
    (isWaitCounted ? forgotten(session, said, outbox, nowMs) : undefined);
  if (missed === undefined) return {awaited, inherited: session.inherited, missed};
  return {awaited: undefined, inherited: without(session.inherited, missed, outbox), missed};
};

/** The epoch of these batches of which the region has said nothing for longest. */
export const longestUnheard = (
  session: Session,
  batches: readonly Batch[],
): {readonly epoch: string; readonly heardMs: number} | undefined => {
  const epochs = new Set(batches.map(({epoch}) => epoch));
  const heard = Array.from(epochs, (epoch) => ({epoch, heardMs: session.heardMs.get(epoch) ?? -Infinity}));
  const [longest] = heard.sort((a, b) => (a.heardMs < b.heardMs ? -1 : a.heardMs > b.heardMs ? 1 : 0));
  return longest;
};

export const heardAfter = (session: Session, epoch: string, {batches}: Outbox, nowMs: number): Session['heardMs'] => {
  const kept = [...session.heardMs].filter(([name]) => batches.some((batch) => batch.epoch === name));
  return new Map(kept).set(epoch, nowMs);
};

/** The batch that the network lets through no more, where the region says that it is not applied. */
export const stuckBatch = ({blocked}: Session, {epoch, applied}: Applied, {batches}: Outbox): Batch | undefined =>
  blocked?.epoch === epoch
    ? batches.find((batch) => nameOf(batch) === nameOf(blocked) && batch.batchSeq > applied)
    : undefined;

/** Adds to the time of barred batches. @param stuck what is asked for no more, and is barred from now on */
export const barredAfter = (
  session: Session,
  stuck: Batch | undefined,
  {batches}: Outbox,
  nowMs: number,
): Pick<Session, 'barredUntilMs'> & {
  readonly times: readonly OutboxEntry[];
  readonly stops: readonly OutboxEntry[];
} => {
  const {ms, isEnough} = barredSince(session, nowMs);
  if (stuck === undefined && !isEnough) return {barredUntilMs: session.barredUntilMs, times: [], stops: []};
  const times = batches.flatMap(({epoch, batchSeq, barredMs}): readonly OutboxEntry[] =>
    barredMs === undefined ? [] : [{op: 'bar', epoch, batchSeq, ms: barredMs + ms}],
  );
  if (stuck === undefined) return {barredUntilMs: nowMs, times, stops: []};
  const {epoch, batchSeq, once} = stuck;
  // Of an epoch with a gap nobody will ever call it applied, and as accepted it would be forgotten.
  const stop: OutboxEntry = once === true ? {op: 'reopen', epoch, batchSeq} : {op: 'bar', epoch, batchSeq, ms: 0};
  return {barredUntilMs: nowMs, times, stops: [stop]};
};

/**
 * The batch that is lost: the way lets it through no more, and the region says for the second time, after hours in which a copy of it would have been applied,
 * that only it is missing. Its number is then used for an empty batch. So the numbers behind it can be called applied, and a copy that turns up after all
 * goes to quarantine, and not beside its readings.
 */
export const lostBatch = (session: Session, said: Applied, {batches}: Outbox, nowMs: number): Batch | undefined =>
  batches.find((batch) => batch.barredMs !== undefined && isNext(batch, said) && !isSpared(session, batch, nowMs));

/**
 * Of an epoch that is over, a number that we do not have comes no more. What stands behind it is never called applied, so it is sent once more and forgotten when it is
 * accepted.
 */
export const sentAgain = (
  {epoch, batchSeq}: Pick<Batch, 'epoch' | 'batchSeq'>,
  said: Applied,
  {epoch: present, batches}: Outbox,
): OutboxEntry =>
  epoch === said.epoch && epoch !== present && !batches.some((batch) => isNext(batch, said))
    ? {op: 'send-once', epoch}
    : {op: 'resend', epoch, from: batchSeq};
