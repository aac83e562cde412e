import type {ErrorRequestHandler, Request, RequestHandler} from 'express';
import {AppError, describeError} from '../errors/app-error.ts';
import {PROBLEM_MEDIA_TYPE, problemOf} from '../errors/problem.ts';
import type {Logger} from '../telemetry/logger.ts';
import {requestIdOf} from './request-id.ts';

export interface ProblemHandlerOptions {
  readonly log: Logger;
  /** 0..1; spreads those who were turned away together. */
  readonly random: () => number;
  /** Further members of every problem. */
  readonly members?: (request: Request) => Readonly<Record<string, unknown>>;
}

/** Seconds; for a 429 or 503 that does not say itself when to come back. */
const DEFAULT_RETRY_AFTER_S = 10;

/** The last handler: every error becomes a problem document here, and is logged here, once. */
export const problemHandler = ({log, random, members}: ProblemHandlerOptions): ErrorRequestHandler => {
  // Express knows an error handler by its four parameters.
  return (thrown: unknown, request, response, _next) => {
    const error = fromLibrary(thrown);
    const requestId = requestIdOf(response);
    const {status, body, headers, retryAfterSeconds} = problemOf(error, requestId);
    const fields = {requestId, method: request.method, path: request.path, status, reason: describeError(error)};
    if (status === 500) log.error({...fields, err: error}, 'a request failed');
    else log.debug(fields, 'a request was refused');
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (status === 429 || status === 503) {
      const base = retryAfterSeconds ?? DEFAULT_RETRY_AFTER_S;
      response.setHeader('Retry-After', String(Math.ceil(base * (1 + random()))));
    }
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
    response.statusCode = status;
    response.setHeader('Content-Type', PROBLEM_MEDIA_TYPE);
    response.end(JSON.stringify({...members?.(request), ...body}));
  };
};

/** For what no route took. */
export const notFoundHandler: RequestHandler = (request) => {
  throw new AppError('not-found', `there is no ${request.method} ${request.path}`);
};

/** Express and its router throw errors with a `status`; a client's fault must not become a 500. */
const fromLibrary = (thrown: unknown): unknown => {
  if (thrown instanceof AppError || !(thrown instanceof Error) || !('status' in thrown)) return thrown;
  if (typeof thrown.status !== 'number' || thrown.status < 400 || thrown.status >= 500) return thrown;
  return new AppError(thrown.status === 404 ? 'not-found' : 'bad-request', thrown.message, {cause: thrown});
};
