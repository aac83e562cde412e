import {describeKey, type Key} from './object.ts';

/** A response of the API server other than success: its HTTP status and, from the `Status` body, reason, causes and message. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  /** `NotFound`, `Conflict`, `Invalid`, `Forbidden`, `Expired`, ...; empty when the answer had no Status body. */
  readonly reason: string;
  readonly causes: readonly {readonly field: string; readonly message: string}[];
  /** From the Retry-After header. */
  readonly retryAfterMs: number | undefined;
  /** The server's own words, for people who did not make the request. */
  readonly said: string;

  constructor(
    message: string,
    response: {
      readonly status: number;
      readonly reason?: string;
      readonly causes?: ApiError['causes'];
      readonly retryAfterMs?: number | undefined;
      readonly said?: string;
    },
  ) {
    super(message);
    this.status = response.status;
    this.reason = response.reason ?? '';
    this.causes = response.causes ?? [];
    this.retryAfterMs = response.retryAfterMs;
    this.said = response.said ?? message;
  }
}

/** How long a {@link Wait} for an object that somebody has just changed lasts: by then the watch has shown the change. */
export const CHANGED_RETRY_MS = 200;

/** Not now, but soon: looked at again after `delayMs`, later each time it comes again, and without counting as a failure. */
export class Wait extends Error {
  override readonly name = 'Wait';
  readonly delayMs: number;

  constructor(message: string, delayMs: number) {
    super(message);
    this.delayMs = delayMs;
  }
}

/** An answer was given up, because reading it would take more memory than the caller has for it. */
export class TooLong extends Error {
  override readonly name = 'TooLong';
}

/** This process may not write (it does not hold the lease, or did not renew it in time). The pass ends silently and, if the term goes on, comes again. */
export class NotLeader extends Error {
  override readonly name = 'NotLeader';
}

/** An object that was left as it is, for a reason that retrying at once will not change. */
export class ApplyRefused extends Error {
  override readonly name = 'ApplyRefused';
  readonly kind: 'conflict' | 'contested' | 'immutable' | 'refused';
  readonly key: Key;
  /** Paths of the fields the server would not change. */
  readonly fields: readonly string[];

  constructor(
    kind: ApplyRefused['kind'],
    key: Key,
    detail: string,
    options: {readonly fields?: readonly string[]; readonly cause?: unknown} = {},
  ) {
    super(`${describeKey(key)}: ${detail}`, {cause: options.cause});
    this.kind = kind;
    this.key = key;
    this.fields = options.fields ?? [];
  }
}

/**
 * The server puts these words before a webhook's own, whose status and reason may be any (apiserver/pkg/admission/plugin/webhook/errors/statuserror.go). An admission
 * policy has a few reasons to choose from, of which none is a conflict.
 */
const DENIED = /admission webhook "[^"]*" denied the request/;

export const isDenied = (error: unknown): boolean => error instanceof ApiError && DENIED.test(error.said);

/** The object does not exist. A server answers a path of a resource that it does not serve with 404, too, but without this reason. */
export const isNotFound = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 404 && error.reason === 'NotFound' && !isDenied(error);

/** The kind is not served: by this server (another one may be ahead of it), or by none. It says nothing of any object. */
export const isUnserved = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 404 && error.reason !== 'NotFound' && !isDenied(error);

/** The object is not as the write took it to be: its version is another one, or its life. */
const isConflict = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 409 && error.reason === 'Conflict' && !isDenied(error);

/**
 * What an error of a write says of its object: that it is gone, or not as the write took it to be. One server may not find what another has, so nothing is gone
 * that the cache still has (`isKnown`). Undefined: something else is the matter.
 */
export const fateOf = (error: unknown, isKnown: boolean): 'gone' | 'changed' | undefined => {
  if (isNotFound(error)) return isKnown ? 'changed' : 'gone';
  return isConflict(error) ? 'changed' : undefined;
};

const LONGEST_LINE = 700;

/** Some texts have many lines, or signs that move a terminal's cursor; in a condition or a table's column that is unreadable. */
export const oneLine = (text: string): string => {
  const line = text.replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim();
  return line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}...` : line;
};

/** A message for logs and conditions; errors of undici hide theirs in `cause`. */
export const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && !error.message.includes(error.cause.message)
    ? `${error.message}: ${error.cause.message}`
    : error.message;
};
