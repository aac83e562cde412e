import {AppError} from '@pisync/core/errors/app-error';
import {problemHandler} from '@pisync/core/http/problem-handler';
import {requestIds} from '@pisync/core/http/request-id';
import type {Logger} from '@pisync/core/telemetry/logger';
import express, {type Express} from 'express';
import type {Route} from './http/route.ts';
import {securityHeaders} from './http/security-headers.ts';
import {serveRoutes, type ServeOptions} from './http/serve-routes.ts';
import {shardFaults} from './http/shard-faults.ts';
import {serveStaticFiles, type StaticFiles} from './page/static-files.ts';

export interface AppOptions extends ServeOptions {
  readonly routes: readonly Route[];
  /** The dashboard; undefined where none was built. */
  readonly page: StaticFiles | undefined;
  readonly log: Logger;
  readonly newRequestId: () => string;
  /** 0..1; spreads those who were turned away together. */
  readonly random: () => number;
}

/** Of a request. Browsers send the cookies of everything that was ever on this host, each up to 4 KiB. */
export const MAX_HEADER_BYTES = 32 * 1024;

/** The API and the page behind it, as one Express application. */
export const createApp = ({routes, page, log, newRequestId, random, ...serve}: AppOptions): Express => {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.use(requestIds(newRequestId));
  app.use(securityHeaders);
  app.use(serveRoutes(routes, serve));
  if (page !== undefined) app.use(serveStaticFiles(page));
  app.use((request) => {
    const hint =
      page === undefined && !request.path.startsWith('/api/') ? ' The dashboard is not part of this installation.' : '';
    throw new AppError('not-found', `There is nothing at ${request.path}.${hint}`);
  });
  app.use(shardFaults);
  app.use(problemHandler({log, random}));
  return app;
};
