import {AppError} from '@pisync/core/errors/app-error';
import express, {type Request, type RequestHandler, type Response, Router} from 'express';
import {authorize, type Authenticator} from '../sessions/authenticate.ts';
import type {Principal} from '../sessions/principal.ts';
import type {RateLimiter} from '../sessions/rate-limit.ts';
import {etagOf, knowsEtag} from './etag.ts';
import {parseInput, parseQueryString} from './parse.ts';
import type {Call, Route} from './route.ts';
import {cameOverTls} from './security-headers.ts';

export interface ServeOptions {
  readonly authenticator: Authenticator;
  /** Per API token. */
  readonly limiter: RateLimiter;
}

const MAX_BODY_BYTES = 64 * 1024;
const TOO_LARGE = `The body is larger than ${MAX_BODY_BYTES} bytes, counted without its compression.`;

/** Serves the routes; every fault is thrown for the error handler behind it. */
export const serveRoutes = (routes: readonly Route[], options: ServeOptions): Router => {
  const router = Router();
  const methodsByPath = new Map<string, string[]>();
  for (const route of routes) {
    const {method, path} = route.definition;
    const pattern = path.replace(/\{(\w+)\}/g, ':$1');
    router[method](pattern, async (request, response) => {
      await serveRoute(route, options, request, response);
    });
    // Express answers HEAD as it answers GET, without the body.
    const names = method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()];
    methodsByPath.set(pattern, [...(methodsByPath.get(pattern) ?? []), ...names]);
  }
  for (const [pattern, methods] of methodsByPath) {
    router.all(pattern, (request, response) => {
      response.setHeader('Allow', methods.join(', '));
      throw new AppError(
        'method-not-allowed',
        `${request.path} does not know ${request.method}; it knows ${methods.join(', ')}.`,
      );
    });
  }
  return router;
};

const parseJson: RequestHandler = express.json({limit: MAX_BODY_BYTES, strict: false});

/** The body as JSON, not yet checked against a schema. */
const readJson = async (request: Request, response: Response): Promise<unknown> => {
  // Without this a form of another site could send a body that parses as JSON.
  if (request.is('application/json') === false) {
    throw new AppError('unsupported-media-type', 'The body must be sent as Content-Type: application/json.');
  }
  const fault = await new Promise<unknown>((resolve) => {
    parseJson(request, response, resolve);
  });
  if (fault instanceof Error) {
    throw isTooLarge(fault) ? new AppError('payload-too-large', TOO_LARGE, {cause: fault}) : fault;
  }
  return request.body;
};

const isTooLarge = (fault: Error): boolean => 'status' in fault && fault.status === 413;

const serveRoute = async (
  route: Route,
  {authenticator, limiter}: ServeOptions,
  request: Request,
  response: Response,
): Promise<void> => {
  const {definition} = route;
  let principal: Principal | undefined;
  if (definition.access !== 'anyone') {
    principal = await authenticator.principalOf({
      authorization: request.get('authorization'),
      cookie: request.get('cookie'),
      csrfToken: request.get('x-csrf-token'),
      changesSomething: definition.method !== 'get',
    });
    limit(limiter, principal, response);
    authorize(principal, definition.access);
  }
  const url = new URL(request.originalUrl, 'http://host.invalid');
  const call: Call<unknown, unknown, unknown> = {
    params: definition.params === undefined ? {} : parseInput(definition.params, request.params, 'path'),
    query: definition.query === undefined ? {} : parseInput(definition.query, parseQueryString(url.search), 'query'),
    body:
      definition.body === undefined
        ? undefined
        : parseInput(definition.body, await readJson(request, response), 'body'),
    principal,
    secure: cameOverTls(request),
  };
  const reply = await route.handle(call);
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
  send(definition.success.status, reply.body, definition.etag === true, request, response);
};

const limit = (limiter: RateLimiter, principal: Principal, response: Response): void => {
  const state = limiter.take(principal.tokenHash);
  response.setHeader('RateLimit-Limit', state.limit);
  response.setHeader('RateLimit-Remaining', state.remaining);
  response.setHeader('RateLimit-Reset', state.resetSeconds);
};

const send = (status: number, body: unknown, withEtag: boolean, request: Request, response: Response): void => {
  if (status === 204) {
    response.status(204).end();
    return;
  }
  const text = JSON.stringify(body);
  if (withEtag) {
    const etag = etagOf(text);
    response.setHeader('ETag', etag);
    // A copy may be kept but must be asked for; no-store would forbid the question.
    response.setHeader('Cache-Control', 'private, no-cache');
    if (knowsEtag(request.get('if-none-match'), etag)) {
      response.status(304).end();
      return;
    }
  }
  response.status(status).setHeader('Content-Type', 'application/json; charset=utf-8');
  response.end(text);
};
