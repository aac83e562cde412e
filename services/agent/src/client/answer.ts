/** What an HTTP reply means to a device: the one table of status codes. */
import {createHash} from 'node:crypto';
import {permittedHome} from './region-url.ts';
import {
  bindingSchema,
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

/** A call, as far as an answer has to fit it. */
export interface SentCall {
  readonly nonce: string;
  /** Ours; undefined before the first enrolment. */
  readonly region: string | undefined;
}

export interface SentSync extends SentCall {
  readonly deviceId: string;
  readonly epoch: string;
  /** Undefined for a heartbeat. */
  readonly batchSeq: number | undefined;
  /** Before it was compressed. */
  readonly body: Buffer;
  /** As sent. */
  readonly sizeBytes: number;
  /** Hosts to which a 421 may lead. */
  readonly homes: readonly string[];
}

export type Answer =
  /** 2xx, or 422 that names the batch as accepted (its bad records went to quarantine). */
  | {
      readonly kind: 'accepted';
      readonly status: number;
      readonly sync: SyncAnswer;
      /** Indexes of its bad records. */
      readonly bad: ReadonlySet<number>;
      /** What the region says where some of it was bad: records, or the state. */
      readonly error?: string;
    }
  /** Unknown or overloaded: the same bytes again, later. */
  | {
      readonly kind: 'later';
      readonly status: number | undefined;
      readonly error: string;
      readonly retryAfterMs: number | undefined;
      /** The call came to no region, or the region turned it away before it took anything. */
      readonly isUntaken?: boolean;
      /** Somebody answered at a length that no answer of the region has. */
      readonly isTooLong?: boolean;
      /** The region itself says so, and not of something else than what was sent. */
      readonly isHeard?: boolean;
      /** The region says so of something else: this body does not come through as it is. */
      readonly isDamaged?: boolean;
    }
  /** The region lives, and says when the device's own quota has room. */
  | {readonly kind: 'over-quota'; readonly status: 429; readonly error: string; readonly retryAfterMs: number}
  | {readonly kind: 'gap'; readonly status: 409; readonly error: string; readonly expected: number | undefined}
  | {
      readonly kind: 'too-large';
      readonly status: 413;
      readonly error: string;
      readonly maxRecords: number | undefined;
      /** The region itself says so of what we sent, and not somebody in between, or of something else. */
      readonly isCertain: boolean;
    }
  /** Not all of the batch came in time, says the region; somebody in between may say so of one that the region took. */
  | {readonly kind: 'too-slow'; readonly status: 408; readonly error: string}
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
  /** The region knows the token or the device not, or no more. */
  | {readonly kind: 'refused'; readonly status: 401 | 403; readonly error: string}
  /** Another secret of this device came after this one, which never counts again. */
  | {readonly kind: 'secret-replaced'; readonly status: 403; readonly error: string}
  | {
      readonly kind: 'later';
      readonly status: number | undefined;
      readonly error: string;
      readonly retryAfterMs: number | undefined;
    };

/** Errors of a connection that was never made: nothing was sent over it. */
const UNCONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

/** Of a reply that is longer than the transport reads. */
const TOO_LONG = 'UND_ERR_RES_EXCEEDED_MAX_SIZE';

/** The region's words for a call that it did not look at. */
const TURNED_AWAY = new Set(['overloaded', 'rate-limited']);

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

const MAX_TOLD_CHARS = 200;

/** Anybody may have written it, and it goes to a log. */
const oneLine = (text: string): string => text.slice(0, MAX_TOLD_CHARS).replaceAll(/\p{Cc}+/gu, ' ');

const describe = (status: number, {title = '', detail = ''}: Problem): string =>
  [`HTTP ${status}`, oneLine(title), oneLine(detail)].filter((part) => part !== '').join(': ');

/** A record may have several faults; each names it in its pointer. */
const badRecords = ({errors = []}: Problem): ReadonlySet<number> =>
  new Set(errors.flatMap(({pointer = ''}) => /^\/records\/(\d+)/.exec(pointer)?.[1] ?? []).map(Number));

/** A maintenance page of somebody in between may ask for a day; what stands there says nothing of the region. */
const STRANGERS_RETRY_AFTER_MS = 3600_000;

interface Word {
  readonly json: unknown;
  readonly problem: Problem;
  /** A problem of our region, and the answer to this very call. */
  readonly byRegion: boolean;
  readonly error: string;
  readonly retryAfterMs: number | undefined;
}

const wordOf = (reply: HttpReply & {kind: 'reply'}, {nonce, region}: SentCall): Word => {
  const json = parseJson(reply.body);
  const problem = problemSchema.safeParse(json).data ?? {};
  const isProblem = problem.type?.startsWith(PROBLEM_TYPE) === true;
  const byRegion = isProblem && problem.nonce === nonce && (region === undefined || problem.region === region);
  const asked = parseRetryAfterMs(reply.retryAfter);
  const foreign =
    isProblem && region !== undefined && problem.region !== undefined && problem.region !== region
      ? `: by region ${problem.region}, and this device is of region ${region}`
      : '';
  return {
    json,
    problem,
    byRegion,
    error: `${describe(reply.status, problem)}${foreign}`,
    retryAfterMs: asked === undefined || byRegion ? asked : Math.min(asked, STRANGERS_RETRY_AFTER_MS),
  };
};

/** Whether the region read what we sent: a body may be garbled on its way, and is refused for what it became. */
const isReceived = ({received}: Problem, {body}: SentSync): boolean =>
  received?.bytes === body.length && received.sha256 === createHash('sha256').update(body).digest('hex');

/** A body that was too large to be read; its size is known here as well. */
const isBeyond = ({maxBytes = Infinity, maxInflatedBytes = Infinity}: Problem, {body, sizeBytes}: SentSync): boolean =>
  sizeBytes > maxBytes || body.length > maxInflatedBytes;

/**
 * Only the region itself makes or breaks a promise. A proxy, a captive portal or a web page that happens to sit at the address answers with any status
 * too; a cache gives an old answer, and a mixed-up connection somebody else's. So what has consequences must be the answer to this very call, by our
 * region: it has the nonce of the call, a 2xx names device, epoch and batch, and a refusal says what was refused. Anything else is `later`.
 */
export const classifySync = (reply: HttpReply, call: SentSync): Answer => {
  if (reply.kind === 'failed') {
    const isUntaken = UNCONNECTED.has(reply.code);
    const isTooLong = reply.code === TOO_LONG;
    return {kind: 'later', status: undefined, error: reply.code, retryAfterMs: undefined, isUntaken, isTooLong};
  }
  const {status} = reply;
  const {json, problem, byRegion, error, retryAfterMs} = wordOf(reply, call);
  const isDamaged = byRegion && problem.received !== undefined && !isReceived(problem, call);
  const isUntaken = byRegion && TURNED_AWAY.has(problem.code ?? '');
  const later: Answer = {
    kind: 'later',
    status,
    error,
    retryAfterMs,
    isUntaken,
    isHeard: byRegion && !isDamaged,
    isDamaged,
  };
  const taken = (): SyncAnswer | undefined => {
    const binding = bindingSchema.safeParse(json).data;
    const isBound =
      binding?.nonce === call.nonce &&
      binding.region === call.region &&
      binding.deviceId === call.deviceId &&
      binding.epoch === call.epoch;
    const sync = isBound ? syncAnswerSchema.safeParse(json).data : undefined;
    return sync?.accepted === call.batchSeq ? sync : undefined;
  };
  if (status >= 200 && status < 300) {
    const sync = taken();
    if (sync !== undefined) return {kind: 'accepted', status, sync, bad: new Set()};
    return {...later, error: `HTTP ${status} without the answer to this call in its body`};
  }
  // A proxy's limit on bodies is as good a reason for smaller batches as the region's own.
  if (status === 413) {
    const isCertain = byRegion && (isReceived(problem, call) || isBeyond(problem, call));
    return {kind: 'too-large', status, error, maxRecords: problem.maxRecords, isCertain};
  }
  if (!byRegion) return later;
  switch (status) {
    case 401:
    case 403: {
      const epochUnknown = problem.code === 'enrol-again';
      return epochUnknown && !isReceived(problem, call) ? later : {kind: 'enrol-again', status, error, epochUnknown};
    }
    case 408:
      return {kind: 'too-slow', status, error};
    case 409:
      return isReceived(problem, call) ? {kind: 'gap', status, error, expected: problem.expected} : later;
    case 421:
      return {kind: 'wrong-region', status, error, home: permittedHome(problem.home, call.homes)};
    case 400:
    case 415:
    case 422: {
      const sync = status === 422 && problem.accepted !== undefined ? taken() : undefined;
      if (sync !== undefined) return {kind: 'accepted', status, sync, bad: badRecords(problem), error};
      if (problem.accepted !== undefined) return later;
      if (isReceived(problem, call)) return {kind: 'refused', status, error};
      return {
        ...later,
        isHeard: false,
        isDamaged: true,
        error: `${error} (of a body that is not the one that was sent)`,
      };
    }
    case 429:
      return retryAfterMs === undefined || retryAfterMs < SHORTEST_QUOTA_MS
        ? later
        : {kind: 'over-quota', status, error, retryAfterMs};
    default:
      // 425, 5xx, a proxy's 404 while a route is being made, redirects: nothing that says anything about this batch.
      return later;
  }
};

/** Like {@link classifySync}. A device that has a region takes an enrolment of no other. */
export const classifyEnrol = (reply: HttpReply, call: SentCall): EnrolOutcome => {
  if (reply.kind === 'failed') return {kind: 'later', status: undefined, error: reply.code, retryAfterMs: undefined};
  const {status} = reply;
  const {json, problem, byRegion, error, retryAfterMs} = wordOf(reply, call);
  if (status >= 200 && status < 300) {
    const answer = enrolAnswerSchema.safeParse(json).data;
    if (answer?.nonce === call.nonce && (call.region === undefined || answer.region === call.region)) {
      return {kind: 'enrolled', answer};
    }
    const why =
      answer?.nonce === call.nonce
        ? `an enrolment by region ${answer.region}, and this device is of region ${String(call.region)}`
        : `HTTP ${status} without the answer to this enrolment in its body`;
    return {kind: 'later', status, error: why, retryAfterMs};
  }
  if (byRegion && status === 403 && problem.code === 'secret-replaced') return {kind: problem.code, status, error};
  if (byRegion && (status === 401 || status === 403)) return {kind: 'refused', status, error};
  return {kind: 'later', status, error, retryAfterMs};
};
