import express, {type Express, type RequestHandler} from 'express';
import {apiHeaders} from '@pisync/core/http/api-headers';
import {notFoundHandler, problemHandler} from '@pisync/core/http/problem-handler';
import {requestIds} from '@pisync/core/http/request-id';
import type {Logger} from '@pisync/core/telemetry/logger';
import {AppError} from '@pisync/core/errors/app-error';
import {bindingOf} from './answers/binding.ts';

export interface AppOptions {
  readonly log: Logger;
  readonly metrics: RequestHandler;
  readonly enrol: RequestHandler;
  readonly sync: RequestHandler;
  readonly receipts: RequestHandler;
  readonly region: () => string;
  readonly createRequestId: () => string;
  readonly random: () => number;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
}

/** Every route. What other methods are answered, and what metrics tell apart, follows from here. */
const ROUTES = {
  enrol: {method: 'post', path: '/v1/enroll'},
  sync: {method: 'post', path: '/v1/sync'},
  receipts: {method: 'get', path: '/v1/sync/receipts'},
  time: {method: 'get', path: '/v1/time'},
} as const;

export const PATHS: readonly string[] = Object.values(ROUTES).map(({path}) => path);

const PROTOCOL_VERSION = '1';

/** The device API: its routes, a word for who asks for the root, and one place where faults become problem documents. */
export const createApp = (options: AppOptions): Express => {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // One address a route, so that what metrics count as no route is none.
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.set('query parser', 'simple');
  app.use(requestIds(options.createRequestId));
  app.use(options.metrics);
  app.use(apiHeaders);
  app.use((_request, response, next) => {
    response.setHeader('X-PiSync-Protocol', PROTOCOL_VERSION);
    next();
  });
  // Load balancers in front of a host ask for its root, and take the host out when that is no success. HEAD is answered like GET.
  app.get('/', (_request, response) => {
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    response.end('PiSync: devices are served below /v1\n');
  });
  const handlers: Readonly<Record<keyof typeof ROUTES, RequestHandler>> = {
    enrol: options.enrol,
    sync: options.sync,
    receipts: options.receipts,
    time: (request, response) => {
      response.setHeader('Content-Type', 'application/json');
      response.end(
        JSON.stringify({...bindingOf(options.region(), request.query.nonce), serverTime: options.wallClock()}),
      );
    },
  };
  for (const [name, handler] of Object.entries(handlers)) {
    // Of a record that has these keys and no others.
    const {method, path} = ROUTES[name as keyof typeof ROUTES];
    app[method](path, handler);
    app.all(path, (request, response) => {
      response.setHeader('Allow', method.toUpperCase());
      throw new AppError('method-not-allowed', `${request.path} does not know ${request.method}`);
    });
  }
  app.use(notFoundHandler);
  app.use(problemHandler({...options, members: ({query}) => ({...bindingOf(options.region(), query.nonce)})}));
  return app;
};
