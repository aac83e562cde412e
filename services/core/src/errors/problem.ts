import {AppError, type Fault, STATUS_OF_CODE} from './app-error.ts';
import {boundedFaults} from './faults.ts';

/** A problem document (RFC 9457) and the header that goes with it. */
export interface Problem {
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
  /** Of this problem in particular. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: {
    readonly type: string;
    readonly title: string;
    readonly status: number;
    readonly code: string;
    readonly detail: string;
    readonly instance?: string;
    readonly errors?: readonly Fault[];
    readonly [extra: string]: unknown;
  };
}

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

const title = (code: string): string => code.replaceAll('-', ' ').replace(/^./, (first) => first.toUpperCase());

/**
 * What a caller is told about an error. Anything that is not an {@link AppError}, and every 500, is described in no more
 * than one fixed sentence, because its message may hold what the caller must not see; the request id leads to the log.
 */
export const problemOf = (error: unknown, requestId?: string): Problem => {
  const known = error instanceof AppError ? error : new AppError('internal', 'internal error', {cause: error});
  const status = STATUS_OF_CODE[known.code];
  return {
    status,
    retryAfterSeconds: known.retryAfterSeconds,
    headers: known.headers,
    body: {
      ...known.extra,
      type: `urn:pisync:problem:${known.code}`,
      title: title(known.code),
      status,
      code: known.code,
      detail:
        status === 500 ? 'The server failed to answer; its log has the reason under this instance.' : known.message,
      ...(requestId === undefined ? {} : {instance: `urn:pisync:request:${requestId}`}),
      ...(known.errors.length === 0 ? {} : {errors: boundedFaults(known.errors)}),
    },
  };
};
