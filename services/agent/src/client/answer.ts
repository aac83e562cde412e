/** What an HTTP reply means to a device: the one table of status codes. */
import {
  enrolAnswerSchema,
  PROBLEM_TYPE,
  problemSchema,
  syncAnswerSchema,
  type EnrolAnswer,
  type Problem,
  type SyncAnswer,
} from './wire.ts';

/** What the transport saw. `failed` is everything without a complete reply: refused, reset, timed out. The server may have acted on it. */
export type HttpReply =
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly retryAfter: string | undefined;
      readonly body: string;
    }
  | {readonly kind: 'failed'; readonly code: string};

export type Answer =
  /** 2xx, or 422 that names the batch as accepted (its bad records went to quarantine). */
  | {
      readonly kind: 'accepted';
      readonly status: number;
      readonly sync: SyncAnswer;
      /** Indexes of its bad records. */
      readonly bad: ReadonlySet<number>;
    }
  /** Unknown or overloaded: the same bytes again, later. */
  | {
      readonly kind: 'later';
      readonly status: number | undefined;
      readonly error: string;
      readonly retryAfterMs: number | undefined;
    }
  /** The region lives, and says when the device's own quota has room. */
  | {readonly kind: 'over-quota'; readonly status: 429; readonly error: string; readonly retryAfterMs: number}
  | {readonly kind: 'gap'; readonly status: 409; readonly error: string; readonly expected: number | undefined}
  | {
      readonly kind: 'too-large';
      readonly status: 413;
      readonly error: string;
      readonly maxRecords: number | undefined;
      /** The region itself says so, and not somebody in between. */
      readonly byRegion: boolean;
    }
  | {readonly kind: 'wrong-region'; readonly status: 421; readonly error: string; readonly home: string | undefined}
  | {
      readonly kind: 'enrol-again';
      readonly status: 401 | 403;
      readonly error: string;
      /** The region knows the device, and never gave out the epoch of the call: nothing of that epoch was ever taken. */
      readonly epochUnknown: boolean;
    }
  /** This content will never be taken. */
  | {readonly kind: 'refused'; readonly status: number; readonly error: string};

export type EnrolOutcome =
  | {readonly kind: 'enrolled'; readonly answer: EnrolAnswer}
  | {
      readonly kind: 'later';
      readonly status: number | undefined;
      readonly error: string;
      readonly retryAfterMs: number | undefined;
    };

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** RFC 9110 10.2.3: seconds. The date form is ignored, because a device's clock may be wrong. */
const parseRetryAfterMs = (value: string | undefined): number | undefined => {
  const seconds = value === undefined || value.trim() === '' ? Number.NaN : Number(value);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
};

/** Of a wait for the quota: less, or none, would be no pause. */
const SHORTEST_QUOTA_MS = 1000;

const describe = (status: number, problem: Problem): string =>
  [`HTTP ${status}`, problem.title, problem.detail].filter((part) => part !== undefined && part !== '').join(': ');

/** A record may have several faults; each names it in its pointer. */
const badRecords = ({errors = []}: Problem): ReadonlySet<number> =>
  new Set(errors.flatMap(({pointer = ''}) => /^\/records\/(\d+)/.exec(pointer)?.[1] ?? []).map(Number));

/**
 * Only the region itself makes or breaks a promise. A proxy, a captive portal or a web page that happens to sit at the address answers with any status
 * too, so what has consequences must look like the region's: a 2xx names the very batch, a refusal is a problem of its own type. Anything else is `later`.
 *
 * @param batchSeq what was sent; undefined for a heartbeat
 */
export const classifySync = (reply: HttpReply, batchSeq: number | undefined): Answer => {
  if (reply.kind === 'failed') return {kind: 'later', status: undefined, error: reply.code, retryAfterMs: undefined};
  const {status} = reply;
  const json = parseJson(reply.body);
  const retryAfterMs = parseRetryAfterMs(reply.retryAfter);
  if (status >= 200 && status < 300) {
    const parsed = syncAnswerSchema.safeParse(json);
    if (parsed.success && parsed.data.accepted === batchSeq) {
      return {kind: 'accepted', status, sync: parsed.data, bad: new Set()};
    }
    return {kind: 'later', status, error: `HTTP ${status} without the answer to this call in its body`, retryAfterMs};
  }
  const problem = problemSchema.safeParse(json).data ?? {};
  const error = describe(status, problem);
  const byRegion = problem.type?.startsWith(PROBLEM_TYPE) === true;
  // A proxy's limit on bodies is as good a reason for smaller batches as the region's own.
  if (status === 413) return {kind: 'too-large', status, error, maxRecords: problem.maxRecords, byRegion};
  if (!byRegion) return {kind: 'later', status, error, retryAfterMs};
  switch (status) {
    case 401:
    case 403:
      return {kind: 'enrol-again', status, error, epochUnknown: problem.code === 'enrol-again'};
    case 409:
      return {kind: 'gap', status, error, expected: problem.expected};
    case 421:
      return {kind: 'wrong-region', status, error, home: problem.home};
    case 422: {
      if (problem.accepted === undefined) return {kind: 'refused', status, error};
      const sync = syncAnswerSchema.safeParse(json).data;
      return sync === undefined || sync.accepted !== batchSeq
        ? {kind: 'later', status, error, retryAfterMs}
        : {kind: 'accepted', status, sync, bad: badRecords(problem)};
    }
    case 400:
    case 415:
      return {kind: 'refused', status, error};
    case 429:
      return retryAfterMs === undefined || retryAfterMs < SHORTEST_QUOTA_MS
        ? {kind: 'later', status, error, retryAfterMs}
        : {kind: 'over-quota', status, error, retryAfterMs};
    default:
      // 408, 425, 5xx, a proxy's 404 while a route is being made, redirects: nothing that says anything about this batch.
      return {kind: 'later', status, error, retryAfterMs};
  }
};

export const classifyEnrol = (reply: HttpReply): EnrolOutcome => {
  if (reply.kind === 'failed') return {kind: 'later', status: undefined, error: reply.code, retryAfterMs: undefined};
  const json = parseJson(reply.body);
  const retryAfterMs = parseRetryAfterMs(reply.retryAfter);
  if (reply.status >= 200 && reply.status < 300) {
    const parsed = enrolAnswerSchema.safeParse(json);
    if (parsed.success) return {kind: 'enrolled', answer: parsed.data};
    const error = `HTTP ${reply.status} without an enrolment answer in its body`;
    return {kind: 'later', status: reply.status, error, retryAfterMs};
  }
  const problem = problemSchema.safeParse(json).data ?? {};
  return {kind: 'later', status: reply.status, error: describe(reply.status, problem), retryAfterMs};
};
