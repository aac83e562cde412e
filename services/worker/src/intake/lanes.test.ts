import {afterEach, expect, test} from '@jest/globals';
import {RETRY_RUNGS, brokerNames} from '@pisync/core/broker/names';
import {type Outgoing} from '@pisync/core/broker/outgoing';
import {sleep} from '@pisync/core/lifecycle/sleep';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import {createLogger} from '@pisync/core/telemetry/logger';
import {until} from '@pisync/core/testing/until';
import {Registry} from 'prom-client';
import {type Applied, type Refused} from '../apply/apply.ts';
import {type Batch} from '../apply/batch.ts';
import {createWorkerMetrics} from '../metrics.ts';
import {batchesOf, deliver, type DeliveryFixture, type TestDelivery} from '../testing/pieces.ts';
import {createByteGate} from './byte-gate.ts';
import {createHeld} from './held.ts';
import {createLanes} from './lanes.ts';
import {createPark} from './park.ts';

const NOTHING: Applied = {
  ...{written: [], refused: [], moved: [], busy: [], undecided: []},
  ...{fault: undefined, isSlow: false},
};
const names = brokerNames('test');

const stops: AbortController[] = [];
afterEach(() => stops.splice(0).forEach((stop) => stop.abort()));

/** Lanes over shards that own slots, or refuse what is not a rejection, and a broker that may refuse too. */
const bench = () => {
  const stop = new AbortController();
  stops.push(stop);
  const world = {
    /** Undefined until it was read. */
    map: undefined as number | undefined,
    owner: 0 as number | undefined,
    reads: 0,
    refuses: (_: Batch): boolean => false,
    scope: 'batch' as Refused['scope'],
    brokerTakes: true,
    confirmed: Promise.resolve<undefined>(undefined),
    /** How often somebody looked around while a confirm did not come. */
    looks: 0,
    /** Messages that the broker did not take. */
    notTaken: 0,
  };
  const sent: Outgoing[] = [];
  const kept: string[] = [];
  const applied: {readonly shardId: number; readonly batch: Batch}[] = [];
  const publisher = {
    publish: (message: Outgoing) => {
      if (!world.brokerTakes) {
        world.notTaken += 1;
        return Promise.reject(new Error('the broker blocks publishers'));
      }
      sent.push(message);
      return world.confirmed;
    },
  };
  const log = createLogger({level: 'silent', service: 'worker', pod: 'test'});
  const metrics = createWorkerMetrics(new Registry(), () => 0, {
    oldestAtMs: () => undefined,
    shards: () => [],
    leftOut: () => 0,
  });
  const held = createHeld((ms, callback) =>
    systemTimers.after(ms / 1000, () => {
      world.looks += 1;
      callback();
    }),
  );
  const lanes = createLanes({
    slotMap: {
      shardOf: () => {
        if (world.map === undefined) throw new Error('the slot map was not read yet');
        return world.map;
      },
      reload: () => {
        world.reads += 1;
        world.map = world.owner ?? world.map;
        return Promise.resolve();
      },
    },
    concurrency: 1,
    onAway: () => undefined,
    apply: (shardId, batches) => {
      if (shardId !== world.owner) return Promise.resolve({...NOTHING, moved: batches});
      const refused = batches.filter(world.refuses);
      const good = batches.filter((batch) => !refused.includes(batch));
      applied.push(...good.map((batch) => ({shardId, batch})));
      return Promise.resolve({
        ...NOTHING,
        written: [
          {applied: good, duplicates: [], conflicts: [], unproved: [], busy: [], absent: [], tooFar: [], positions: []},
        ],
        refused: refused.map((batch) => ({batch, reason: 'a riddle', scope: world.scope})),
      });
    },
    answers: () => Promise.resolve(true),
    gates: {fresh: createByteGate(Infinity), parked: createByteGate(Infinity)},
    announce: () => Promise.resolve(),
    park: createPark({publisher, names, held, metrics, log}),
    publisher,
    names,
    held,
    keepUnreadable: (reason) => {
      kept.push(reason);
      return Promise.resolve();
    },
    onLane: () => undefined,
    metrics,
    log,
    now: () => 0,
    // A thousand times as fast.
    timers: {...systemTimers, sleep: (ms, signal) => sleep(ms / 1000, signal)},
    stopping: stop.signal,
  });
  const send = (fixture: Partial<DeliveryFixture> = {}): TestDelivery => {
    const delivery = deliver({batches: batchesOf(1), ...fixture});
    for (const piece of delivery.pieces) lanes.dispatch(piece);
    return delivery;
  };
  const drain = (): Promise<void> => {
    stop.abort();
    return lanes.drain();
  };
  return {lanes, world, sent, kept, applied, send, drain};
};

const acked = (delivery: TestDelivery) => until('the ack', () => delivery.outcome() === 'acked');

test('before the slot map was read batches wait in hand, however long', async () => {
  const {world, sent, applied, send} = bench();
  world.owner = undefined;
  const delivery = send();
  await until('twenty looks', () => world.reads > 20);
  expect(delivery.outcome()).toBe('open');
  world.owner = 3;
  await acked(delivery);
  expect({sent, shards: applied.map(({shardId}) => shardId)}).toEqual({sent: [], shards: [3]});
});

test('a batch follows its slot to the shard that the map names next', async () => {
  const {world, applied, send} = bench();
  world.map = 1;
  await acked(send());
  expect(applied.map(({shardId}) => shardId)).toEqual([0]);
});

test('a batch whose slot nobody owns waits on the first rung in the end, with its attempts as they were', async () => {
  const {world, sent, send} = bench();
  world.map = 1;
  world.owner = undefined;
  await acked(send({attempt: 2}));
  expect(sent).toMatchObject([
    {exchange: names.retry.exchange(RETRY_RUNGS[0]), routingKey: 'p00.normal', headers: {'x-pisync-attempt': 2}},
  ]);
});

test('a refused batch climbs to the next rung, and stays in hand while the broker does not take it', async () => {
  const {world, sent, send} = bench();
  world.map = 0;
  world.refuses = () => true;
  world.brokerTakes = false;
  const delivery = send({attempt: 1});
  await until('five tries', () => world.notTaken >= 5);
  expect(delivery.outcome()).toBe('open');
  world.brokerTakes = true;
  await acked(delivery);
  expect(sent).toMatchObject([{exchange: names.retry.exchange(RETRY_RUNGS[1]), headers: {'x-pisync-attempt': 2}}]);
});

test('a refused batch is published once, however late the broker confirms it', async () => {
  const {world, sent, send} = bench();
  world.map = 0;
  world.refuses = () => true;
  const confirm = Promise.withResolvers<undefined>();
  world.confirmed = confirm.promise;
  const delivery = send();
  await until('three looks', () => world.looks >= 3);
  expect({sent: sent.length, outcome: delivery.outcome()}).toEqual({sent: 1, outcome: 'open'});
  confirm.resolve(undefined);
  await acked(delivery);
  expect(sent).toHaveLength(1);
});

test('after the last rung a refused batch is stored as a rejection, and what even then is refused is kept as bytes', async () => {
  const {world, applied, kept, send} = bench();
  world.map = 0;
  world.refuses = ({content}) => content.kind === 'good';
  await acked(send({attempt: RETRY_RUNGS.length}));
  expect(applied.map(({batch}) => batch.content)).toEqual([
    {kind: 'rejected', reason: 'refused 5 times, at last: a riddle'},
  ]);
  world.refuses = () => true;
  await acked(send({attempt: RETRY_RUNGS.length}));
  expect(kept).toEqual(['refused 5 times, at last: a riddle']);
});

test('what is not its own fault stays on the last rung, however often it is refused, and is neither rejected nor set aside', async () => {
  const {world, sent, applied, kept, send} = bench();
  world.map = 0;
  world.refuses = () => true;
  world.scope = 'row';
  for (const attempt of [3, 4, 9]) await acked(send({attempt}));
  const rung = {exchange: names.retry.exchange(RETRY_RUNGS[3]), headers: {'x-pisync-attempt': 4}};
  expect(sent).toMatchObject([rung, rung, rung]);
  expect({applied, kept}).toEqual({applied: [], kept: []});
});

test('what the broker has taken back is neither sent on nor looked for any more', async () => {
  const {world, sent, applied, send} = bench();
  world.owner = undefined;
  const homeless = send();
  await until('a look', () => world.reads > 0);
  homeless.lose();
  await until('the end of the looking', () => homeless.outcome() === 'requeued');
  world.map = 0;
  world.owner = 0;
  world.refuses = () => true;
  world.brokerTakes = false;
  const refused = send({batches: batchesOf(2)});
  await until('a try', () => world.notTaken > 0);
  refused.lose();
  world.brokerTakes = true;
  await until('the end of the tries', () => refused.outcome() === 'requeued');
  expect({sent, applied}).toEqual({sent: [], applied: []});
});

test('what is on its way when the worker stops is given back', async () => {
  const {world, send, drain} = bench();
  world.owner = undefined;
  const homeless = send();
  await until('a look', () => world.reads > 0);
  world.map = 0;
  world.owner = 0;
  world.refuses = () => true;
  world.brokerTakes = false;
  const refused = send({batches: batchesOf(2)});
  await until('both to be on their way', () => world.notTaken > 0);
  await drain();
  await until('both', () => homeless.outcome() === 'requeued' && refused.outcome() === 'requeued');
  expect(send().outcome()).toBe('requeued');
});
