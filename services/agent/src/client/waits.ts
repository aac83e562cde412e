/** How long a device waits: after a failure, before it enrols again, until the region wants to hear from it. */
import {LONGEST_WAIT_MS, waitAfterFailureMs} from './backoff.ts';
import type {Session} from './session.ts';
import type {Policy, SyncAnswer} from './wire.ts';

/** The failure from which waits are shares of `base`. */
export const LADDER_BEGINS = 2;

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

export const waitMs = (session: Session, failures: number, chance: Chance, retryAfterMs?: number): number =>
  waitAfterFailureMs({failures, retryAfterMs}, backoffOf(session, chance), chance.random);

/** The session after a call that came to nothing. */
export const failed = (session: Session, error: string, retryAfterMs: number | undefined, chance: Chance): Session => {
  const failures = session.failures + 1;
  return {
    ...session,
    failures,
    lastError: error,
    attempt: session.attempt + 1,
    refusals: 0,
    notBeforeMs: chance.nowMs + waitMs(session, failures, chance, retryAfterMs),
    // A home region that does not answer is forgotten: ask the configured address again.
    home: failures >= 3 ? undefined : session.home,
  };
};

/** Before the second and each further enrolment of a day: two devices with one hardware id shut each other out, and each succeeds every time. */
export const beforeEnrolment = (session: Session, chance: Chance): Session => {
  if (session.enrolments < LADDER_BEGINS) return session;
  const untilMs = chance.nowMs + waitMs(session, session.enrolments, chance);
  return {...session, notBeforeMs: Math.max(session.notBeforeMs, untilMs)};
};

/** @returns milliseconds until the region wants to hear from us, by the distance of two of *its* times. */
export const scheduledInMs = (answer: SyncAnswer): number => {
  if (answer.nextSyncAt === undefined || answer.serverTime === undefined) return LONGEST_WAIT_MS;
  return Math.min(Math.max(answer.nextSyncAt - answer.serverTime, 1000), LONGEST_WAIT_MS);
};
