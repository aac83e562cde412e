/** What a device knows of its talk with the region while it runs. Times are milliseconds of a monotonic clock. */
import type {Batch, Outbox, OutboxEntry} from './outbox.ts';
import {DEFAULT_POLICY, type Policy, type Reason} from './wire.ts';

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
  /** `dueMs` is by a schedule, and not because somebody or something is in a hurry. */
  readonly isScheduled: boolean;
  readonly fullWanted: boolean;
  /** The region asked for a sync, so one is sent even when no reading waits. */
  readonly syncWanted: boolean;
  /** Commands that the next batch answers, by their ids. */
  readonly answering: readonly string[];
  /** The command that asked for a new epoch. */
  readonly epochCommand: string | undefined;
  /** Commands that are done, to be told with the next call. */
  readonly cmdAcks: readonly string[];
  /** The next enrolment uses a new secret, which makes a new epoch. */
  readonly newSecretWanted: boolean;
  /** An enrolment under which nothing succeeded yet; until then the one before it is kept. `life` is that of the outbox. */
  readonly confirming: {readonly epoch: string; readonly life: string; readonly region: string} | undefined;
  /** Enrolments in a row of which none lasted, and when the last was answered. */
  readonly enrolments: number;
  readonly enrolledMs: number;
  /**
   * The region has said how far it is in our epoch since we started, or enrolled. Before that nothing is numbered: our storage may be a backup that was
   * restored, or a copy of a card, also from before the first batch or the enrolment, and its numbers used already.
   */
  readonly isPositionKnown: boolean;
  readonly policy: Policy;
  /** Most records the next batch may have: the policy's, or less after a 413. */
  readonly recordLimit: number;
  /** Attempts of the batch at the head. */
  readonly attempt: number;
  /** Refusals in a row of the batch at the head. */
  readonly refusals: number;
  /** Tries in a row of the batch at the head of which the region has said nothing. */
  readonly unheard: number;
  /** Bodies are not compressed: the region got what was sent before as something else. */
  readonly isPlain: boolean;
  /** A short call got an answer since the last of these. */
  readonly isProbed: boolean;
  /** Most records that a batch may have, because the way has let longer ones through no more since we started. */
  readonly narrowed: number;
  /** Answers in a row that found the window full and nothing more applied. */
  readonly asksInVain: number;
  /** Answers 409 since the last batch that was accepted. */
  readonly gaps: number;
  /** The batch that certainly nobody has taken: it was sealed since we started, and whatever answered it said so. Only this one may be numbered anew. */
  readonly untaken: string | undefined;
  /** A batch that may have been taken, and that the way lets through no more: the region is asked whether it has it. */
  readonly blocked: Pick<Batch, 'epoch' | 'batchSeq'> | undefined;
  /** The oldest batch that is accepted and not applied, and since when we have waited for it. */
  readonly awaited: {readonly epoch: string; readonly batchSeq: number; readonly sinceMs: number} | undefined;
  /** Until then the time of barred batches is in the outbox. */
  readonly barredUntilMs: number;
  /** Batches that were accepted before we started. */
  readonly inherited: ReadonlySet<string>;
  /** When the region last said what is applied, by epoch. */
  readonly heardMs: ReadonlyMap<string, number>;
  readonly configRev: number | undefined;
  /** The home region's address, where another one said so. */
  readonly home: string | undefined;
}

/** What becomes of a session after an answer, and what is written down with it. */
export interface Step {
  readonly session: Session;
  readonly entries: readonly OutboxEntry[];
}

export interface Start {
  /** Whether there is a credential. */
  readonly isEnrolled: boolean;
  /** See {@link Session}. */
  readonly confirming?: Session['confirming'];
  readonly outbox: Outbox;
  readonly nowMs: number;
  /** Nothing is sent for so long: what lost its power together must not come back together. */
  readonly delayMs?: number;
  readonly policy?: Policy | undefined;
}

/** Of a batch, within its device. */
export const nameOf = ({epoch, batchSeq}: Pick<Batch, 'epoch' | 'batchSeq'>): string => `${epoch}/${batchSeq}`;

export const startSession = ({isEnrolled, confirming, outbox, nowMs, delayMs = 0, policy}: Start): Session => ({
  phase: isEnrolled ? 'sync' : 'enrol',
  failures: 0,
  lastError: undefined,
  notBeforeMs: nowMs + delayMs,
  dueMs: nowMs,
  dueReason: 'boot',
  isScheduled: false,
  fullWanted: false,
  syncWanted: false,
  answering: [],
  epochCommand: undefined,
  cmdAcks: [],
  newSecretWanted: isEnrolled && confirming === undefined && outbox.areNumbersLost,
  confirming,
  enrolments: 0,
  enrolledMs: nowMs,
  isPositionKnown: false,
  policy: policy ?? DEFAULT_POLICY,
  recordLimit: (policy ?? DEFAULT_POLICY).maxRecords,
  attempt: 1,
  refusals: 0,
  gaps: 0,
  asksInVain: 0,
  untaken: undefined,
  barredUntilMs: nowMs,
  unheard: 0,
  isPlain: false,
  isProbed: false,
  narrowed: Infinity,
  blocked: undefined,
  awaited: undefined,
  inherited: new Set(outbox.batches.filter(({accepted}) => accepted).map(nameOf)),
  heardMs: new Map(),
  configRev: undefined,
  home: undefined,
});

/** Makes the device due now, without shortening a back-off. */
export const wakeUp = (session: Session, reason: Reason, nowMs: number): Session => ({
  ...session,
  dueMs: Math.min(session.dueMs, nowMs),
  dueReason: reason,
  isScheduled: reason === 'scheduled',
  syncWanted: true,
});

/** Makes a heartbeat due now. */
export const askNow = (session: Session, nowMs: number): Session => ({
  ...session,
  dueMs: Math.min(session.dueMs, nowMs),
  isScheduled: false,
});
