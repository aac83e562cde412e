import type {RequestHandler} from 'express';
import {Counter, Histogram, type Registry} from 'prom-client';

/** Counts answers and times them, by route, and calls that ended before their answer did, as `aborted`; a path that is no route counts as `other`, so that a scanner cannot make series. */
export const httpMetrics = (registry: Registry, routes: readonly string[], now: () => number): RequestHandler => {
  const seconds = new Histogram({
    name: 'pisync_http_request_seconds',
    help: 'Time from the request line to the end of the answer',
    labelNames: ['route'] as const,
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  const answers = new Counter({
    name: 'pisync_http_requests_total',
    help: 'Calls by route and by the status of their answer; aborted: the caller was gone before the whole of it was sent',
    labelNames: ['route', 'status'] as const,
    registers: [registry],
  });
  const known = new Set(routes);
  return (request, response, next) => {
    const began = now();
    const route = known.has(request.path) ? request.path : 'other';
    // Comes once, after the answer or instead of its end.
    response.once('close', () => {
      seconds.observe({route}, (now() - began) / 1000);
      answers.inc({route, status: response.writableFinished ? response.statusCode : 'aborted'});
    });
    next();
  };
};
