import {createServer, IncomingMessage, ServerResponse} from 'node:http';
import type {AddressInfo, Socket} from 'node:net';
import type {Tracer} from '@opentelemetry/api';
import type {Express} from 'express';
import {PROBLEM_MEDIA_TYPE} from '../errors/problem.ts';
import {closeQuietly} from './close-quietly.ts';
import {traceRequests} from './trace-requests.ts';
import {trackSockets} from './track-sockets.ts';

export interface HttpServer {
  readonly port: number;
  /** Serves until nobody sends any more, closes, lets open requests finish, and cuts what is left after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

export interface HttpServerOptions {
  readonly app: Express;
  /** 0 picks a free one. */
  readonly port: number;
  readonly maxConnections: number;
  readonly maxUnreadBytes?: number;
  /** Of all headers of a request; more is a 431. */
  readonly maxHeaderBytes?: number;
  /**
   * Once aborted, every answer asks its peer to use another connection, those to requests that are under way included. Whoever keeps
   * connections open then leaves by itself, between two requests, and few are left to close when the server stops.
   */
  readonly draining?: AbortSignal;
  /** Makes a span of each request; nothing is done for one while there is none. */
  readonly tracer?: Tracer | undefined;
}

/** Bounds on what one peer may hold. */
const LIMITS = {
  headersTimeout: 10_000,
  /** Nobody needs it: a body that is read has a rate to keep, at which the longest takes nine minutes (read-body.ts). */
  requestTimeout: 10 * 60_000,
  /**
   * Longer than any proxy keeps a connection that it does not use: nginx 60 s, HAProxy and cloud balancers up to 10 min, Envoy 1 h. The one that
   * gives up first must be the proxy; a request that it sends while we close gets no answer.
   */
  keepAliveTimeout: 61 * 60_000,
  connectionsCheckingInterval: 5_000,
} as const;

/** What devices and scripts send has some hundred bytes of headers. */
const MAX_HEADER_BYTES = 8 * 1024;

/** From this share of the connections on, those make room that serve nobody. */
const CROWDED = 0.9;

/** Of answers that nobody reads: sixteen of the longest, and an eighth of the heap that a pod has by default. */
const MAX_UNREAD_BYTES = 32 * 1024 * 1024;

/**
 * For the rest of a request that was answered before it came, as it is when its headers suffice to refuse it. To close at once would reset the
 * connection under a peer that still sends, which would then never read its answer.
 */
const REST_MS = 10_000;

/** Half of a stop (25 s), which is what one resource may use of it, and more than a broker's confirm takes (5 s). */
const DEFAULT_GRACE_MS = 12_000;

/**
 * Serves an express app. Requests and responses are born with the prototypes that express would otherwise swap in on each
 * of them, which deoptimises every property access after it (4x CPU on small answers).
 */
export const startHttpServer = async ({
  app,
  port,
  maxConnections,
  maxUnreadBytes = MAX_UNREAD_BYTES,
  maxHeaderBytes = MAX_HEADER_BYTES,
  draining,
  tracer,
}: HttpServerOptions): Promise<HttpServer> => {
  const handle = tracer === undefined ? app : traceRequests(app, tracer);
  const open = new Set<ServerResponse>();
  let arrivals = 0;
  const server = createServer({
    ...LIMITS,
    maxHeaderSize: maxHeaderBytes,
    IncomingMessage: withPrototype<typeof IncomingMessage>(IncomingMessage, app.request),
    ServerResponse: withPrototype<typeof ServerResponse>(ServerResponse, app.response),
  });
  const sockets = trackSockets(server, {crowded: maxConnections * CROWDED, maxUnreadBytes});
  const ended = function (this: ServerResponse): void {
    open.delete(this);
    sockets.ends(this);
    if (!this.req.complete) awaitRest(this.req);
  };
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    arrivals += 1;
    if (!sockets.hears(response)) return;
    if (draining?.aborted === true) response.setHeader('Connection', 'close');
    else open.add(response);
    response.on('close', ended);
    request.url = pathOf(request.url ?? '');
    handle(request, response);
  };
  // Else node answers it by itself, and as often as it is asked.
  server.on('request', serve);
  server.on('checkExpectation', serve);
  draining?.addEventListener('abort', () => {
    for (const response of open) if (!response.headersSent) response.setHeader('Connection', 'close');
    open.clear();
  });
  server.maxConnections = maxConnections;
  server.maxHeadersCount = 64;
  server.on('clientError', refuse);
  server.on('connection', () => {
    arrivals += 1;
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  return {
    // A server that listens on TCP has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    stop: (graceMs = DEFAULT_GRACE_MS) => closeQuietly({server, sockets, arrivals: () => arrivals, graceMs}),
  };
};

/**
 * An absolute target (RFC 9112, 3.2.2) without its host, which says nothing here: express answers one whose host it cannot read past everything that the
 * application has.
 */
const pathOf = (whole: string): string => {
  // A target has no fragment (RFC 9112, 3.2). One that has is read in another way, which may end in the same place.
  const [target = ''] = whole.split('#', 1);
  if (target.startsWith('/')) return target;
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
  return path.startsWith('/') || path === '*' ? path : `/${path}`;
};

const awaitRest = (request: IncomingMessage): void => {
  setTimeout(() => {
    if (!request.complete) request.socket.destroy();
  }, REST_MS).unref();
};

/** `Base`, whose instances have `prototype`. A class statement cannot say this: the prototype of a class is fixed. */
const withPrototype = <B extends new (...args: never[]) => object>(Base: B, prototype: object): B => {
  function Made(...args: unknown[]): object {
    // Reflect.construct returns an instance of Base.
    return Reflect.construct(Base, args, Made) as object;
  }
  Made.prototype = prototype;
  // Made constructs exactly what Base constructs.
  return Made as unknown as B;
};

/** What is no HTTP, too large or too slow never becomes a request, so express cannot answer it. */
const refuse = (error: NodeJS.ErrnoException, socket: Socket): void => {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0) {
    // Not a slow request but none: a proxy opened it and had another one free before it was needed. It may use it yet.
    socket.setTimeout(LIMITS.keepAliveTimeout);
    return;
  }
  const [status, code] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'headers-too-large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'request-timeout']
        : ['400 Bad Request', 'bad-request'];
  const body = JSON.stringify({
    type: `urn:pisync:problem:${code}`,
    title: status.slice(4),
    status: Number(status.slice(0, 3)),
    code,
  });
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: ${PROBLEM_MEDIA_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
};
