import {createServer, IncomingMessage, ServerResponse} from 'node:http';
import type {AddressInfo, Socket} from 'node:net';
import type {Express} from 'express';
import {PROBLEM_MEDIA_TYPE} from '../errors/problem.ts';

export interface HttpServer {
  readonly port: number;
  /** Stops accepting, lets open requests finish for `graceMs`, then cuts what is left. */
  stop(graceMs?: number): Promise<void>;
}

export interface HttpServerOptions {
  readonly app: Express;
  /** 0 picks a free one. */
  readonly port: number;
  readonly maxConnections: number;
  /** Once aborted, every answer asks its peer to use another connection, so that few are left to cut when the server stops. */
  readonly draining?: AbortSignal;
}

/** Bounds on what one peer may hold. Proxies keep idle connections for 60 s, so ours live longer: the proxy closes first. */
const LIMITS = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 5_000,
} as const;

const DEFAULT_GRACE_MS = 5_000;

/**
 * Serves an express app. Requests and responses are born with the prototypes that express would otherwise swap in on each
 * of them, which deoptimises every property access after it (4x CPU on small answers).
 */
export const startHttpServer = async ({
  app,
  port,
  maxConnections,
  draining,
}: HttpServerOptions): Promise<HttpServer> => {
  const server = createServer(
    {
      ...LIMITS,
      IncomingMessage: withPrototype<typeof IncomingMessage>(IncomingMessage, app.request),
      ServerResponse: withPrototype<typeof ServerResponse>(ServerResponse, app.response),
    },
    (request, response) => {
      if (draining?.aborted === true) response.setHeader('Connection', 'close');
      app(request, response);
    },
  );
  server.maxConnections = maxConnections;
  server.maxHeadersCount = 64;
  server.on('clientError', refuse);
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
    stop: (graceMs = DEFAULT_GRACE_MS) =>
      new Promise((resolve) => {
        // A connection that becomes idle after the close began would stay for its keep-alive time.
        const sweep = setInterval(() => server.closeIdleConnections(), 50);
        const cut = setTimeout(() => server.closeAllConnections(), graceMs);
        server.close(() => {
          clearInterval(sweep);
          clearTimeout(cut);
          resolve();
        });
      }),
  };
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
