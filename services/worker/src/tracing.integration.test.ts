import {afterAll, beforeAll, expect, jest, test} from '@jest/globals';
import {BUNDLE_MEDIA_TYPE, encodeBundle} from '@pisync/core/broker/bundle';
import {partitionOf} from '@pisync/core/broker/names';
import {findPosition} from '@pisync/core/devices/position';
import {createLogger} from '@pisync/core/telemetry/logger';
import {startTracing, type Tracing} from '@pisync/core/telemetry/tracing';
import {type OtlpCollector, startOtlpCollector} from '@pisync/core/testing/otlp-collector';
import {until} from '@pisync/core/testing/until';
import {batchOf, enrolDevices, itemOf} from './testing/batches.ts';
import {openWorkerBench, PARTITIONS, type WorkerBench} from './testing/test-worker.ts';

jest.setTimeout(60_000);

let bench: WorkerBench;
let collector: OtlpCollector;
let tracing: Tracing;
beforeAll(async () => {
  bench = await openWorkerBench();
  collector = await startOtlpCollector();
  const log = createLogger({level: 'silent', service: 'worker', pod: 'test'});
  tracing = await startTracing({service: 'worker', pod: 'test', endpoint: collector.endpoint, sampleRatio: 0, log});
});
afterAll(async () => {
  await tracing.stop();
  await collector.close();
  await bench.close();
});

const span = (index: number) => ({
  traceId: index.toString(16).padStart(32, 'a'),
  spanId: index.toString(16).padStart(16, 'b'),
});

test('the window that applies batches links to the traces of those that have one, up to a bound', async () => {
  const [device] = await enrolDevices(bench.shards.shards, 1);
  if (device === undefined) throw new Error('no device was enrolled');
  const {slot} = device;
  const items = Array.from({length: 41}, (_, index) => {
    const {meta, payload} = itemOf(batchOf({device, batchSeq: index + 1}));
    const {traceId, spanId} = span(index);
    // The first has none.
    return index === 0 ? {meta, payload} : {meta: {...meta, trace: `00-${traceId}-${spanId}-01`}, payload};
  });
  const worker = await bench.start({tracer: tracing.tracer});
  await bench.publisher.publish({
    exchange: bench.names.batches.exchange,
    routingKey: bench.names.batches.routingKey(partitionOf(slot, PARTITIONS), 'normal'),
    content: encodeBundle(items),
    contentType: BUNDLE_MEDIA_TYPE,
  });
  await until(
    'the batches to be applied',
    async () => (await findPosition(bench.shards.shards, device, 1))?.appliedThrough,
    (seen) => seen === 41,
  );
  await worker.close();
  await tracing.stop();

  const [applied] = collector.spans();
  expect(collector.spans()).toHaveLength(1);
  expect(applied).toMatchObject({
    name: 'apply window',
    kind: 5,
    traceId: span(1).traceId,
    parentSpanId: span(1).spanId,
    status: {code: 0},
  });
  expect(applied?.links.map(({traceId, spanId}) => ({traceId, spanId}))).toEqual(
    Array.from({length: 32}, (_, index) => span(index + 1)),
  );
  expect(applied?.attributes).toEqual({
    'pisync.shard': bench.shards.shards.slotMap.shardOf(slot),
    'pisync.batches': 41,
    'pisync.records': 82,
    'pisync.outcome': 'applied',
  });
});
