import {performance} from 'node:perf_hooks';
import {Writable} from 'node:stream';
import {afterEach, expect, test} from '@jest/globals';
import express from 'express';
import {createLogger} from '../telemetry/logger.ts';
import {activeTrace} from '../telemetry/trace-context.ts';
import {startTracing} from '../telemetry/tracing.ts';
import {startOtlpCollector} from '../testing/otlp-collector.ts';
import {startHttpServer} from './http-server.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const KEPT = {traceparent: `00-${TRACE}-${CALLER}-01`};

/** A service of two routes that sends its spans to `endpoint`. */
const serve = async (endpoint: string | undefined, sampleRatio = 0) => {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const log = createLogger({
    level: 'info',
    service: 'test',
    pod: 'test-0',
    traced: endpoint !== undefined,
    destination,
  });
  const tracing = await startTracing({service: 'test', pod: 'test-0', endpoint, sampleRatio, log});
  const app = express();
  app.get('/things/:id', async (_request, response) => {
    await new Promise((resolve) => setImmediate(resolve));
    log.info({}, 'found');
    response.json({trace: activeTrace() ?? null});
  });
  app.get('/broken', (_request, response) => {
    response.status(503).end();
  });
  const server = await startHttpServer({app, port: 0, maxConnections: 10, tracer: tracing.tracer});
  cleanups.push(
    () => tracing.stop(),
    () => server.stop(0),
  );
  return {
    lines: () => lines.map((line): unknown => JSON.parse(line)),
    stop: () => tracing.stop(),
    get: (path: string, headers: Readonly<Record<string, string>> = {}) =>
      fetch(`http://127.0.0.1:${server.port}${path}`, {headers}),
  };
};

const collect = async () => {
  const collector = await startOtlpCollector();
  cleanups.push(() => collector.close());
  return collector;
};

test('a request is one span named by method and route', async () => {
  const collector = await collect();
  const {get, stop, lines} = await serve(collector.endpoint, 1);
  const answer = await get('/things/7');
  const {trace} = (await answer.json()) as {trace: string};
  await stop();
  const [span] = collector.spans();
  expect(collector.spans()).toHaveLength(1);
  expect(span).toMatchObject({
    name: 'GET /things/:id',
    kind: 2,
    status: {code: 0},
  });
  expect(span?.attributes).toEqual({
    'http.request.method': 'GET',
    'http.route': '/things/:id',
    'http.response.status_code': 200,
    'url.scheme': 'http',
  });
  expect(trace).toBe(`00-${span?.traceId}-${span?.spanId}-01`);
  expect(lines()).toContainEqual(
    expect.objectContaining({msg: 'found', trace_id: span?.traceId, span_id: span?.spanId}),
  );
});

test('a request without a trace begins one, by the ratio', async () => {
  const collector = await collect();
  const {get, stop} = await serve(collector.endpoint, 1);
  await get('/broken', {traceparent: 'nonsense', 'x-forwarded-proto': 'https'});
  await get('/nowhere/device-1');
  await stop();
  expect(collector.spans().map(({name, status, parentSpanId}) => ({name, status, parentSpanId}))).toEqual([
    {name: 'GET /broken', status: {code: 2}, parentSpanId: undefined},
    {name: 'GET', status: {code: 0}, parentSpanId: undefined},
  ]);
  expect(collector.spans()[0]?.attributes).toMatchObject({'url.scheme': 'https', 'error.type': '503'});
  expect(JSON.stringify(collector.spans())).not.toContain('device-1');
});

test('a request that is not kept is neither sent nor carried along', async () => {
  const collector = await collect();
  const {get, stop, lines} = await serve(collector.endpoint, 0);
  const answer = await get('/things/7');
  expect(await answer.json()).toEqual({trace: null});
  await stop();
  expect(collector.spans()).toEqual([]);
  expect(lines()).toContainEqual(expect.not.objectContaining({trace_id: expect.anything() as unknown}));
});

test('a caller has no span by saying that his trace is kept, and where the ratio keeps one it names his', async () => {
  const collector = await collect();
  const never = await serve(collector.endpoint, 0);
  expect(await (await never.get('/things/7', KEPT)).json()).toEqual({trace: null});
  await never.stop();
  expect(collector.spans()).toEqual([]);
  const always = await serve(collector.endpoint, 1);
  await always.get('/things/7', {traceparent: `00-${TRACE}-${CALLER}-00`});
  await always.stop();
  const [span] = collector.spans();
  expect(span).toMatchObject({links: [{traceId: TRACE, spanId: CALLER}]});
  expect(span?.traceId).not.toBe(TRACE);
  expect(span?.parentSpanId).toBeUndefined();
});

test('without an endpoint a request carries nothing', async () => {
  const {get} = await serve(undefined, 1);
  const answer = await get('/things/7', KEPT);
  expect(await answer.json()).toEqual({trace: null});
});

test('a collector that is away disturbs neither requests nor the stop', async () => {
  const gone = await startOtlpCollector();
  await gone.close();
  const {get, stop, lines} = await serve(gone.endpoint, 1);
  for (let sent = 0; sent < 5; sent++) expect((await get('/broken')).status).toBe(503);
  const began = performance.now();
  await stop();
  expect(performance.now() - began).toBeLessThan(4_000);
  expect(lines().length).toBeLessThanOrEqual(1);
});

test('a collector that refuses is told of once, however often it does', async () => {
  const collector = await collect();
  const {get, stop, lines} = await serve(`${collector.endpoint}/elsewhere`, 1);
  // More than one export takes.
  for (let sent = 0; sent < 600; sent++) expect((await get('/broken')).status).toBe(503);
  await stop();
  expect(collector.refusals()).toBeGreaterThan(1);
  expect(lines()).toEqual([expect.objectContaining({level: 'warn', msg: 'spans cannot be sent'})]);
});
