/**
 * What can go wrong, in words that a caller may branch on, and the HTTP status each becomes.
 * The record is the only place where a code meets a status.
 */
export const STATUS_OF_CODE = {
  'bad-request': 400,
  'malformed-json': 400,
  unauthenticated: 401,
  forbidden: 403,
  'enrol-again': 403,
  'secret-replaced': 403,
  'not-found': 404,
  'method-not-allowed': 405,
  'request-timeout': 408,
  conflict: 409,
  'batch-gap': 409,
  'precondition-failed': 412,
  'payload-too-large': 413,
  'unsupported-media-type': 415,
  misdirected: 421,
  invalid: 422,
  'precondition-required': 428,
  'rate-limited': 429,
  'headers-too-large': 431,
  'config-invalid': 500,
  internal: 500,
  unavailable: 503,
  'broker-unavailable': 503,
  'broker-timeout': 503,
  'shard-unavailable': 503,
  overloaded: 503,
} as const;

export type ErrorCode = keyof typeof STATUS_OF_CODE;

/** One fault inside a document: where (RFC 6901 JSON pointer) and what. */
export interface Fault {
  readonly pointer: string;
  readonly detail: string;
  /** Where in the text that the pointer names, from 1. */
  readonly character?: number;
}

export interface AppErrorOptions {
  readonly cause?: unknown;
  /** Faults in the request's body, one an entry. */
  readonly errors?: readonly Fault[];
  /** When the caller should come back, in seconds; becomes `Retry-After`. */
  readonly retryAfterSeconds?: number;
  /** What the answer says besides, in its headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the problem document, such as `expected` of a gap. Never secrets. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/**
 * The one error type that is thrown on purpose. `message` says what failed, on which object and what to do; it is shown
 * to callers for every status below 500, so it never holds a secret.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly errors: readonly Fault[];
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : {cause: options.cause});
    this.name = 'AppError';
    this.code = code;
    this.errors = options.errors ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.headers = options.headers ?? {};
    this.extra = options.extra ?? {};
  }

  /** The same error with further members for its problem document. */
  with(extra: Readonly<Record<string, unknown>>): AppError {
    const {code, message, cause, errors, retryAfterSeconds, headers} = this;
    return new AppError(code, message, {
      ...(cause === undefined ? {} : {cause}),
      errors,
      headers,
      ...(retryAfterSeconds === undefined ? {} : {retryAfterSeconds}),
      extra: {...this.extra, ...extra},
    });
  }

  get status(): number {
    return STATUS_OF_CODE[this.code];
  }
}

/** By shape, because errors of node's own modules belong to another realm inside a test runner, where instanceof says no. */
const isError = (value: unknown): value is {readonly message: string; readonly cause?: unknown} =>
  typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string';

/** A sentence for logs and readiness answers: the message and those of its causes. */
export const describeError = (error: unknown): string => {
  const parts: string[] = [];
  let current: unknown = error;
  // Eight causes are more than any chain of ours has; the bound keeps a cyclic cause from hanging the log.
  for (let depth = 0; depth < 8 && current !== undefined && current !== null; depth++) {
    if (current instanceof AggregateError && current.message === '')
      parts.push(current.errors.map(describeError).join(', '));
    else if (isError(current)) parts.push(current.message);
    else if (typeof current === 'string') parts.push(current);
    else parts.push(JSON.stringify(current));
    current = isError(current) ? current.cause : undefined;
  }
  return parts.join(': ');
};
