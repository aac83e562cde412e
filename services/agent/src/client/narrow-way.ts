/** What a device does where the way to its region lets long bodies through no more, whether somebody says so or not. */
import type {Answer} from './answer.ts';
import type {Batch} from './outbox.ts';
import {nameOf, type Session, type Step} from './session.ts';
import {type Chance, failed} from './waits.ts';

/**
 * Content is given up only when it is refused so often in a row: a body that was damaged on its way is refused too. And a batch that may have been taken is
 * numbered anew only when it is found too large or too slow so often: the next network may let it through.
 */
export const REFUSALS_BEFORE_GIVING_UP = 3;

/** After so many tries of a batch without a word of the region, each further one comes after a short call that got an answer. */
const UNHEARD_BEFORE_PROBING = 3;

/** So many are enough: short calls come through, and this batch does not. */
const UNHEARD_BEFORE_BLOCKED = 8;

/** What the batch was to answer waits again with its readings. */
export const reopened = (session: Session, {mode}: Batch): Session => ({
  ...session,
  fullWanted: session.fullWanted || mode === 'full',
  syncWanted: session.syncWanted || mode === 'full',
});

const halfOf = ({records}: Batch): number => Math.max(1, Math.floor(records.length / 2));

/** It may have been taken. What has no 2xx goes with the answer to a call, or when it is asked for, so also a single record that comes through no more is asked for. */
export const isDoubtful = ({untaken}: Session, batch: Batch): boolean => untaken !== nameOf(batch);

/** A batch that is refused for its size is sent as one of half its records, where nobody has taken it. */
export const smaller = (
  session: Session,
  batch: Batch,
  {error, maxRecords = Infinity}: {readonly error: string; readonly maxRecords?: number | undefined},
  chance: Chance,
): Step => {
  const {epoch, batchSeq} = batch;
  if (isDoubtful(session, batch)) {
    const refusals = session.refusals + 1;
    const next = {...failed(session, error, undefined, chance), refusals};
    const isBlocked = refusals >= REFUSALS_BEFORE_GIVING_UP;
    return {session: isBlocked ? {...next, refusals: 0, blocked: {epoch, batchSeq}} : next, entries: []};
  }
  const recordLimit = Math.min(halfOf(batch), maxRecords);
  // At once: between two batches that are taken there are no more of these than halves.
  const next = {...reopened(session, batch), recordLimit, dueMs: chance.nowMs, attempt: 1, refusals: 0};
  return {session: next, entries: [{op: 'reopen', epoch, batchSeq}]};
};

/** Whether a short call is to show first that something comes through. */
export const isProbeDue = ({unheard, isProbed}: Session): boolean => unheard >= UNHEARD_BEFORE_PROBING && !isProbed;

/**
 * After a call that came to nothing. A proxy that resets what is too long, or answers it with a 502, may have let it through before, so such a batch is
 * asked for like one that had a 2xx. What is sealed from now on is shorter.
 */
export const afterSilence = (
  session: Session,
  batch: Batch | undefined,
  {error, retryAfterMs, isUntaken, isHeard, isDamaged = false, isTooLong = false}: Answer & {readonly kind: 'later'},
  chance: Chance,
): Session => {
  // Some take for text what is none, or are wrong about how it is packed.
  const isPlain = batch !== undefined && isDamaged ? !session.isPlain : session.isPlain;
  const next = {...failed(session, error, retryAfterMs, chance), isProbed: false, isPlain};
  if (isHeard === true) return {...next, unheard: 0};
  // Nothing comes through, long or short.
  if (batch === undefined || isUntaken === true) {
    return {...next, unheard: Math.min(session.unheard, UNHEARD_BEFORE_PROBING)};
  }
  const unheard = session.unheard + 1;
  if (unheard < UNHEARD_BEFORE_BLOCKED) return {...next, unheard};
  // A shorter one would not be answered at less length.
  const narrowed = isTooLong ? session.narrowed : Math.min(session.narrowed, halfOf(batch));
  const {epoch, batchSeq} = batch;
  return {
    ...next,
    unheard: 0,
    blocked: {epoch, batchSeq},
    narrowed,
    recordLimit: Math.min(session.recordLimit, narrowed),
  };
};
