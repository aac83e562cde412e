import {expect, test} from '@jest/globals';
import {decodeBundle} from '@pisync/core/broker/bundle';
import {ATTEMPT_HEADER, brokerNames, PARKED_HEADER} from '@pisync/core/broker/names';
import {type Outgoing} from '@pisync/core/broker/outgoing';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import {createLogger} from '@pisync/core/telemetry/logger';
import {Registry} from 'prom-client';
import {createWorkerMetrics} from '../metrics.ts';
import {until} from '@pisync/core/testing/until';
import {batchesOf, deliver, largeBatch, type TestDelivery} from '../testing/pieces.ts';
import {createHeld} from './held.ts';
import {createPark} from './park.ts';

const names = brokerNames('test');

const bench = (refuses: (message: Outgoing) => boolean = () => false) => {
  const sent: Outgoing[] = [];
  const broker = {confirmed: Promise.resolve<undefined>(undefined)};
  const metrics = createWorkerMetrics(new Registry(), () => 0, {
    oldestAtMs: () => undefined,
    shards: () => [],
    leftOut: () => 0,
  });
  const park = createPark({
    publisher: {
      publish: (message) => {
        sent.push(message);
        return refuses(message) ? Promise.reject(new Error('the broker blocks publishers')) : broker.confirmed;
      },
    },
    names,
    // A thousand times as fast.
    held: createHeld((ms, callback) => systemTimers.after(ms / 1000, callback)),
    metrics,
    log: createLogger({level: 'silent', service: 'worker', pod: 'test'}),
  });
  return {sent, broker, park};
};

test('pieces of several bundles are packed together, with their attempts as they were', async () => {
  const {sent, park} = bench();
  const [a, b] = [deliver({batches: batchesOf(2), attempt: 3}), deliver({batches: batchesOf(1), attempt: 3})];
  expect(await park([...a.pieces, ...b.pieces], 7)).toEqual([]);
  expect(sent).toMatchObject([
    {
      exchange: names.parked.exchange,
      routingKey: 'p00.normal',
      headers: {[ATTEMPT_HEADER]: 3, [PARKED_HEADER]: names.parked.queue(7)},
    },
  ]);
  expect(sent.flatMap(({content}) => decodeBundle(content).items).map(({payload}) => payload)).toEqual(
    [...a.pieces, ...b.pieces].map(({item}) => item.payload),
  );
  expect([a.outcome(), b.outcome()]).toEqual(['acked', 'acked']);
});

test('another way back, another number of attempts or too many batches is another message', async () => {
  const {sent, park} = bench();
  const deliveries = [
    deliver({batches: batchesOf(1)}),
    deliver({batches: batchesOf(1), routingKey: 'p00.high'}),
    deliver({batches: batchesOf(1), attempt: 1}),
    deliver({batches: batchesOf(64)}),
  ];
  await park(
    deliveries.flatMap(({pieces}) => pieces),
    0,
  );
  expect(sent.map(({content}) => decodeBundle(content).items.length).sort((x, y) => x - y)).toEqual([1, 1, 1, 64]);
});

test('what belongs to no shard waits on the first rung and burns no attempt', async () => {
  const {sent, park} = bench();
  await park(deliver({batches: batchesOf(1)}).pieces, undefined);
  expect(sent).toMatchObject([{exchange: names.retry.exchange({name: '5s', delayMs: 5000}), headers: {}}]);
});

test('what the broker does not confirm stays in hand, and only its delivery stays open', async () => {
  const {park} = bench(({routingKey}) => routingKey === 'p01.normal');
  const [taken, refused] = [
    deliver({batches: batchesOf(1)}),
    deliver({batches: batchesOf(2), routingKey: 'p01.normal'}),
  ];
  expect(await park([...taken.pieces, ...refused.pieces], 0)).toEqual(refused.pieces);
  expect([taken.outcome(), refused.outcome()]).toEqual(['acked', 'open']);
});

test('what the broker confirms late stays in hand until then, and is not published again', async () => {
  const {sent, broker, park} = bench();
  const confirm = Promise.withResolvers<undefined>();
  broker.confirmed = confirm.promise;
  const [early, later] = [deliver({batches: batchesOf(2)}), deliver({batches: batchesOf(1)})];
  expect(await park(early.pieces, 0)).toEqual(early.pieces);
  expect(await park([...early.pieces, ...later.pieces], 0)).toEqual([...early.pieces, ...later.pieces]);
  expect(await park([...early.pieces, ...later.pieces], 0)).toHaveLength(3);
  expect(sent.map(({content}) => decodeBundle(content).items.length)).toEqual([2, 1]);
  confirm.resolve(undefined);
  expect(await park([...early.pieces, ...later.pieces], 0)).toEqual([]);
  expect([sent.length, early.outcome(), later.outcome()]).toEqual([2, 'acked', 'acked']);
});

test('no more is on its way to a broker that does not confirm than what is copied of it may take, and what waits is not sent when its shard was back first', async () => {
  const {sent, broker, park} = bench();
  const {promise, resolve} = Promise.withResolvers<undefined>();
  broker.confirmed = promise;
  const large = (): TestDelivery => deliver({batches: [largeBatch(1_000_000)]});
  const byShard = Array.from({length: 6}, () => Array.from({length: 4}, large));
  const left = byShard.map((deliveries, shardId) =>
    park(
      deliveries.flatMap(({pieces}) => pieces),
      shardId,
    ),
  );
  await Promise.all(left);
  expect(sent).toHaveLength(8);
  // Two of each shard, and nothing of the fifth.
  const applied = byShard.at(-1) ?? [];
  for (const {pieces} of applied) for (const piece of pieces) piece.close('settled');
  resolve(undefined);
  await until('all to be done with', () => byShard.flat().every((one) => one.outcome() === 'acked'));
  expect(sent).toHaveLength(20);
});
