import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {createLogger} from '@pisync/core/telemetry/logger';
import {startTracing, type Tracing} from '@pisync/core/telemetry/tracing';
import {type OtlpCollector, startOtlpCollector} from '@pisync/core/testing/otlp-collector';
import {startTestDeviceApi, type TestDeviceApi} from './testing/test-device-api.ts';

let collector: OtlpCollector;
let tracing: Tracing;
let api: TestDeviceApi;
beforeAll(async () => {
  collector = await startOtlpCollector();
  const log = createLogger({level: 'silent', service: 'device-api', pod: 'test'});
  const {endpoint} = collector;
  tracing = await startTracing({service: 'device-api', pod: 'test', endpoint, sampleRatio: 1, log});
  api = await startTestDeviceApi({tracer: tracing.tracer});
}, 60_000);
afterAll(async () => {
  await api.stop();
  await tracing.stop();
  await collector.close();
}, 60_000);

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';

test("a batch carries the span of the call that brought it, which names its caller's", async () => {
  const device = await api.enrol();
  const answer = await api.call(
    'POST',
    '/v1/sync',
    {...device.auth, traceparent: `00-${TRACE}-${CALLER}-00`},
    JSON.stringify({epoch: 'e1', batchSeq: 1, mode: 'delta', reason: 'scheduled', records: [{s: 1, k: 'x'}]}),
  );
  expect(answer).toMatchObject({status: 200});
  const [item] = await api.drain();
  await tracing.stop();

  const span = collector.spans().find(({name}) => name === 'POST /v1/sync');
  expect(span).toMatchObject({kind: 2, links: [{traceId: TRACE, spanId: CALLER}]});
  expect(span?.attributes).toEqual({
    'http.request.method': 'POST',
    'http.route': '/v1/sync',
    'http.response.status_code': 200,
    'url.scheme': 'http',
  });
  expect(item?.meta.trace).toBe(`00-${span?.traceId}-${span?.spanId}-01`);
});
