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
  tracing = await startTracing({service: 'device-api', pod: 'test', endpoint, sampleRatio: 0, log});
  api = await startTestDeviceApi({tracer: tracing.tracer});
}, 60_000);
afterAll(async () => {
  await api.stop();
  await tracing.stop();
  await collector.close();
}, 60_000);

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';

test('a batch carries the span of the call that brought it, when its trace is kept', async () => {
  const device = await api.enrol();
  const send = (batchSeq: number, flags: string) =>
    api.call(
      'POST',
      '/v1/sync',
      {...device.auth, traceparent: `00-${TRACE}-${CALLER}-${flags}`},
      JSON.stringify({epoch: 'e1', batchSeq, mode: 'delta', reason: 'scheduled', records: [{s: batchSeq, k: 'x'}]}),
    );
  expect(await send(1, '01')).toMatchObject({status: 200});
  expect(await send(2, '00')).toMatchObject({status: 200});
  const items = await api.drain(2);
  await tracing.stop();

  const [span] = collector.spans();
  expect(collector.spans()).toHaveLength(1);
  expect(span).toMatchObject({traceId: TRACE, parentSpanId: CALLER, name: 'POST /v1/sync', kind: 2});
  expect(span?.attributes).toEqual({
    'http.request.method': 'POST',
    'http.route': '/v1/sync',
    'http.response.status_code': 200,
    'url.scheme': 'http',
  });
  const traces = new Map(items.map(({meta}) => [meta.batchSeq, meta.trace]));
  expect(traces).toEqual(
    new Map([
      [1, `00-${TRACE}-${span?.spanId}-01`],
      [2, undefined],
    ]),
  );
});
