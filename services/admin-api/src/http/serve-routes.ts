import {createHash} from 'node:crypto';
import {promisify} from 'node:util';
import {gzip} from 'node:zlib';
import {AppError} from '@pisync/core/errors/app-error';
import {type BodyRoom, createBodyRoom, type HeldBody} from '@pisync/core/http/body-room';
import {readBody} from '@pisync/core/http/read-body';
import {type Request, type Response, Router} from 'express';
import {requestIdOf} from '@pisync/core/http/request-id';
import {addressOf} from '../audit/actor.ts';
import {authorize, type Authenticator} from '../sessions/authenticate.ts';
import type {Principal} from '../sessions/principal.ts';
import {type CallsUnderWay, createCallsUnderWay} from '../sessions/calls-under-way.ts';
import {countCall, type CallLimiter} from '../sessions/rate-limit.ts';
import {etagOf, knowsEtag, revisionsIn} from './etag.ts';
import {parseInput, parseQueryString} from './parse.ts';
import type {Call, Route} from './route.ts';
import {cameOverTls} from './security-headers.ts';
import {sendStream} from './send-stream.ts';

export interface ServeOptions {
  readonly authenticator: Authenticator;
  /** Per API token. */
  readonly limiter: CallLimiter;
}

const MAX_BODY_BYTES = 64 * 1024;
const BODY_LIMITS = {maxBytes: MAX_BODY_BYTES, maxInflatedBytes: MAX_BODY_BYTES} as const;
/** For those of all calls: a sign-in has some hundred bytes and may come from anybody, so one that stops half-way makes room. */
const BODIES = {maxBytes: 8 * 1024 * 1024, patienceMs: 1_000} as const;

/** For answers until they are sent, those that are compressed included: fifty of the longest. One that is not read makes room. */
const ANSWERS = {maxBytes: 32 * 1024 * 1024, patienceMs: 1_000} as const;

/** Of one token. */
const CALLS_AT_ONCE = 40;

/** Of an answer. To read, write and send so much takes about what a call does. */
const BYTES_A_CALL = 256 * 1024;

/** Serves the routes; every fault is thrown for the error handler behind it. */
export const serveRoutes = (routes: readonly Route[], options: ServeOptions): Router => {
  // One address an operation.
  const router = Router({caseSensitive: true, strict: true});
  const bodies = createBodyRoom({
    ...BODIES,
    overloaded: () => new AppError('overloaded', 'Too many bodies at once; come back later.'),
  });
  const answers = createBodyRoom({
    ...ANSWERS,
    overloaded: () => new AppError('overloaded', 'Too many answers wait to be read; come back later.'),
  });
  const underWay = createCallsUnderWay(CALLS_AT_ONCE);
  const methodsByPath = new Map<string, string[]>();
  for (const route of routes) {
    const {method, path} = route.definition;
    const pattern = path.replace(/\{(\w+)\}/g, ':$1');
    const served = {...options, bodies, answers, underWay, contentOf: contentsOf(route)};
    router[method](pattern, async (request, response) => {
      await serveRoute(route, served, request, response);
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

/** The body as JSON, not yet checked against a schema. */
const readJson = async (request: Request, bodies: BodyRoom): Promise<unknown> => {
  // Without this a form of another site could send a body that parses as JSON.
  if (request.is('application/json') === false) {
    throw new AppError('unsupported-media-type', 'The body must be sent as Content-Type: application/json.');
  }
  const held = bodies.enter();
  try {
    const body = await readBody(request, BODY_LIMITS, held);
    return body.length === 0 ? undefined : parseJson(body);
  } finally {
    // What is left of it is what its schema takes.
    held.leave();
  }
};

/** What is no UTF-8 is refused, and not stored with replaced characters. */
const utf8 = new TextDecoder('utf-8', {fatal: true});

const parseJson = (body: Buffer): unknown => {
  try {
    return JSON.parse(utf8.decode(body)) as unknown;
  } catch (error) {
    throw new AppError('malformed-json', 'The body is no JSON.', {cause: error});
  }
};

interface Served extends ServeOptions {
  readonly bodies: BodyRoom;
  readonly answers: BodyRoom;
  readonly underWay: CallsUnderWay;
  readonly contentOf: (body: unknown) => Content;
}

const serveRoute = async (route: Route, served: Served, request: Request, response: Response): Promise<void> => {
  const {definition} = route;
  const {authenticator, limiter, underWay} = served;
  let principal: Principal | undefined;
  let leave = (): void => undefined;
  if (definition.access !== 'anyone') {
    principal = await authenticator.principalOf({
      authorization: request.get('authorization'),
      cookie: request.get('cookie'),
      csrfToken: request.get('x-csrf-token'),
      changesSomething: definition.method !== 'get',
    });
    setHeaders(response, await countCall(limiter, principal));
    authorize(principal, definition.access);
    leave = underWay.enter(principal.tokenHash);
  }
  try {
    await serveCaller(route, principal, served, request, response);
  } finally {
    leave();
  }
};

const serveCaller = async (
  route: Route,
  principal: Principal | undefined,
  {limiter, bodies, answers, contentOf}: Served,
  request: Request,
  response: Response,
): Promise<void> => {
  const {definition} = route;
  const call: Call<unknown, unknown, unknown, Principal | undefined> = {
    params: definition.params === undefined ? {} : parseInput(definition.params, request.params, 'path'),
    query:
      definition.query === undefined
        ? {}
        : parseInput(definition.query, parseQueryString(queryOf(request.url)), 'query'),
    body:
      definition.body === undefined ? undefined : parseInput(definition.body, await readJson(request, bodies), 'body'),
    principal,
    reached: {secure: cameOverTls(request), port: portIn(request.get('host'))},
    origin: {
      requestId: requestIdOf(response),
      address: addressOf(request.get('x-forwarded-for'), request.socket.remoteAddress),
    },
    callHash:
      definition.creates === undefined || principal === undefined
        ? undefined
        : callHashOf(principal, request.get('idempotency-key')),
    revisions: definition.conditional === undefined ? undefined : revisionsIn(request.get('if-match')),
  };
  const charge = async (bytes: number): Promise<void> => {
    const more = Math.floor(bytes / BYTES_A_CALL);
    if (principal !== undefined && more > 0) await limiter.charge(principal, more);
  };
  const written = await answerTo(route, call, contentOf, {request, response, charge});
  if (written === undefined) return;
  const {content, headers} = written;
  const plain = content.plain();
  const work = answers.enter();
  try {
    work.holds(plain.length);
    work.arrived();
    await charge(plain.length);
    const isPacked = plain.length >= COMPRESSED_FROM_BYTES && request.acceptsEncodings('gzip') === 'gzip';
    const bytes = isPacked ? await content.packed() : plain;
    work.leave();
    const held = answers.enter();
    // Only now: what is refused must not have the ETag or the cookie of what it would have been.
    setHeaders(response, headers);
    response.status(definition.success.status);
    send({bytes, isPacked}, held, response);
  } finally {
    work.leave();
  }
};

const portIn = (host: string | undefined): number | undefined => {
  const [, port] = /:(\d{1,5})$/.exec(host ?? '') ?? [];
  return port === undefined ? undefined : Number(port);
};

/** Printable and without a space, so that no proxy changes it. */
const IDEMPOTENCY_KEY = /^[!-~]{1,128}$/;

/** The same key of another caller is another call. */
const callHashOf = ({tokenHash}: Principal, key: string | undefined): Buffer | undefined => {
  if (key === undefined) return undefined;
  if (!IDEMPOTENCY_KEY.test(key)) {
    throw new AppError('bad-request', 'Idempotency-Key must be 1 to 128 printable ASCII characters without a space.');
  }
  return createHash('sha256').update(`${tokenHash} ${key}`).digest();
};

const setHeaders = (response: Response, headers: Readonly<Record<string, string>>): void => {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
};

/** Not by way of a URL: a path may be one that no URL can have. */
const queryOf = (target: string): string => {
  const begin = target.indexOf('?');
  return begin === -1 ? '' : target.slice(begin);
};

const compress = promisify(gzip);
/** Less than this fits into the packet that is sent anyway. */
const COMPRESSED_FROM_BYTES = 1024;
/** Rows are much alike: more effort takes twice the time for a tenth of the size. */
const EFFORT = {level: 3} as const;

/** What an answer says, written when it is asked for and then kept. */
interface Content {
  readonly etag: string | undefined;
  readonly plain: () => Buffer;
  readonly packed: () => Promise<Buffer>;
}

/** Of a route whose answer never changes it is kept: whoever asks again costs what it takes to send it. */
const contentsOf = ({definition}: Route): ((body: unknown) => Content) => {
  const contentOf = (body: unknown): Content => {
    let plain: Buffer | undefined;
    let packed: Promise<Buffer> | undefined;
    const written = (): Buffer => (plain ??= Buffer.from(JSON.stringify(body)));
    const etag = (): string | undefined => {
      if (definition.constant === true) return etagOf(written());
      if (!('tagged' in definition)) return undefined;
      return etagOf(JSON.stringify(definition.tagged(body)), definition.revision?.(body));
    };
    return {etag: etag(), plain: written, packed: () => (packed ??= compress(written(), EFFORT))};
  };
  if (definition.constant !== true) return contentOf;
  let kept: Content | undefined;
  return (body) => (kept ??= contentOf(body));
};

interface Written {
  readonly content: Content;
  readonly headers: Readonly<Record<string, string>>;
}

interface Exchange {
  readonly request: Request;
  readonly response: Response;
  /** For what was sent. */
  readonly charge: (bytes: number) => Promise<void>;
}

/** The answer's content and headers. Undefined where there is nothing to send any more. */
const answerTo = async (
  {definition, handle}: Route,
  call: Parameters<Route['handle']>[0],
  contentOf: (body: unknown) => Content,
  {request, response, charge}: Exchange,
): Promise<Written | undefined> => {
  const {body, headers = {}, stream} = await handle(call);
  // Who asked for it has left meanwhile.
  if (response.closed) return undefined;
  if (stream !== undefined) {
    setHeaders(response, headers);
    await sendStream(stream, {response, charge, pieceBytes: BYTES_A_CALL, isWanted: request.method !== 'HEAD'});
    return undefined;
  }
  if (definition.success.status === 204) {
    setHeaders(response, headers);
    response.status(204).end();
    return undefined;
  }
  const content = contentOf(body);
  const {etag} = content;
  const always = {...headers, Vary: 'Accept-Encoding'};
  if (etag === undefined) return {content, headers: always};
  if (definition.method !== 'get') return {content, headers: {...always, ETag: etag}};
  // A copy may be kept but must be asked for; no-store would forbid the question.
  const tagged = {...always, ETag: etag, 'Cache-Control': 'private, no-cache'};
  if (!knowsEtag(request.get('if-none-match'), etag)) return {content, headers: tagged};
  setHeaders(response, tagged);
  response.status(304).end();
  return undefined;
};

/** @param held until all of it is sent, or its connection has ended */
const send = (
  {bytes, isPacked}: {readonly bytes: Buffer; readonly isPacked: boolean},
  held: HeldBody,
  response: Response,
): void => {
  if (response.closed) return;
  response.once('close', () => held.leave());
  held.arrives(() => response.destroy());
  held.holds(bytes.length);
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  if (isPacked) response.setHeader('Content-Encoding', 'gzip');
  response.setHeader('Content-Length', bytes.length);
  response.end(bytes);
};
