import {createHash} from 'node:crypto';
import {AppError} from '@pisync/core/errors/app-error';
import express, {type Request, type Response, Router} from 'express';
import {authorize, type Authenticator} from '../sessions/authenticate.ts';
import type {Principal} from '../sessions/principal.ts';
import type {RateLimiter} from '../sessions/rate-limit.ts';
import {parseInput, parseQueryString} from './parse.ts';
import type {Call, Route} from './route.ts';

export interface ServeOptions {
  readonly authenticator: Authenticator;
  /** Per API token. */
  readonly limiter: RateLimiter;
}

const MAX_BODY = '64kb';

/** Serves the routes; every fault is thrown for the error handler behind it. */
export const serveRoutes = (routes: readonly Route[], options: ServeOptions): Router => {
  const router = Router();
  const json = express.json({limit: MAX_BODY, strict: false});
  const methodsByPath = new Map<string, string[]>();
  for (const route of routes) {
    const {method, path} = route.definition;
    const pattern = path.replace(/\{(\w+)\}/g, ':$1');
    const serve = async (request: Request, response: Response): Promise<void> => {
      await serveRoute(route, options, request, response);
    };
    if (route.definition.body === undefined) router[method](pattern, serve);
    else router[method](pattern, requireJson, json, serve);
    methodsByPath.set(pattern, [...(methodsByPath.get(pattern) ?? []), method.toUpperCase()]);
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

/** Without this a form of another site could send a body that parses as JSON. */
const requireJson = (request: Request, _response: Response, next: () => void): void => {
  if (request.is('application/json') === false) {
    throw new AppError('unsupported-media-type', 'The body must be sent as Content-Type: application/json.');
  }
  next();
};

const serveRoute = async (
  route: Route,
  {authenticator, limiter}: ServeOptions,
  request: Request,
  response: Response,
): Promise<void> => {
  const {definition} = route;
  const remoteAddress = request.socket.remoteAddress ?? '';
  response.setHeader('Cache-Control', 'no-store');
  let principal: Principal | undefined;
  if (definition.access !== 'anyone') {
    principal = await authenticator.principalOf({
      authorization: request.get('authorization'),
      cookie: request.get('cookie'),
      csrfToken: request.get('x-csrf-token'),
      changesSomething: definition.method !== 'get',
      remoteAddress,
    });
    limit(limiter, principal, response);
    authorize(principal, definition.access);
  }
  const url = new URL(request.originalUrl, 'http://host.invalid');
  const call: Call<unknown, unknown, unknown> = {
    params: definition.params === undefined ? {} : parseInput(definition.params, request.params, 'path'),
    query: definition.query === undefined ? {} : parseInput(definition.query, parseQueryString(url.search), 'query'),
    body: definition.body === undefined ? undefined : parseInput(definition.body, request.body, 'body'),
    principal,
    secure: request.get('x-forwarded-proto') === 'https',
    remoteAddress,
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
    const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 27)}"`;
    response.setHeader('ETag', etag);
    // A copy may be kept but must be asked for; no-store would forbid the question.
    response.setHeader('Cache-Control', 'private, no-cache');
    const known = (request.get('if-none-match') ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
    if (known.includes(etag) || known.includes('*')) {
      response.status(304).end();
      return;
    }
  }
  response.status(status).setHeader('Content-Type', 'application/json; charset=utf-8');
  response.end(text);
};
