import {afterEach, expect, test} from '@jest/globals';
import {sleep} from '@pisync/core/lifecycle/sleep';
import {systemTimers} from '@pisync/core/lifecycle/timers';
import {createLogger} from '@pisync/core/telemetry/logger';
import {until} from '@pisync/core/testing/until';
import {Registry} from 'prom-client';
import {type Applied} from '../apply/apply.ts';
import {type Batch} from '../apply/batch.ts';
import {createWorkerMetrics} from '../metrics.ts';
import {batchesOf, deliver, largeBatch, type TestDelivery} from '../testing/pieces.ts';
import {createByteGate} from './byte-gate.ts';
import {createLane} from './lane.ts';
import {type Piece} from './parcel.ts';

const NOTHING: Applied = {
  ...{written: [], refused: [], moved: [], busy: [], undecided: []},
  ...{fault: undefined, isSlow: false},
};
const written = (batches: readonly Batch[]): Applied => ({
  ...NOTHING,
  written: [
    {applied: batches, duplicates: [], conflicts: [], unproved: [], busy: [], absent: [], tooFar: [], positions: []},
  ],
});
const refusing = (batches: readonly Batch[]): Applied => ({...NOTHING, undecided: batches, fault: 'refused'});

const stops: AbortController[] = [];
afterEach(() => stops.splice(0).forEach((stop) => stop.abort()));

const gatesOf = (bytes: number) => ({fresh: createByteGate(bytes), parked: createByteGate(bytes)});

/** A lane whose time runs a thousandfold, on a shard and a broker that do what they are told. */
const bench = (bytesAtWork = Infinity, gates = gatesOf(bytesAtWork)) => {
  const stop = new AbortController();
  stops.push(stop);
  const shard = {
    answer: written,
    answers: true,
    attempts: 0,
    needsMs: 0,
    onCut: () => {},
    free: Promise.resolve<unknown>(undefined),
  };
  const metrics = createWorkerMetrics(new Registry(), () => 0, {
    oldestAtMs: () => undefined,
    shards: () => [],
    leftOut: () => 0,
  });
  const asked: number[] = [];
  const broker = {takes: true, parked: 0};
  const refused: string[] = [];
  const moved: Piece[] = [];
  const away: number[] = [];
  let atMs = 0;
  const lane = createLane({
    shardId: 1,
    concurrency: 2,
    onAway: (shardId) => away.push(shardId),
    apply: async (_, batches, {timeoutMs}) => {
      shard.attempts += 1;
      atMs += Math.min(shard.needsMs, timeoutMs);
      await shard.free;
      if (shard.needsMs <= timeoutMs) return shard.answer(batches);
      shard.onCut();
      return refusing(batches);
    },
    answers: () => Promise.resolve(shard.answers),
    gates: {
      fresh: {
        enter(who, bytes) {
          asked.push(bytes);
          return gates.fresh.enter(who, bytes);
        },
      },
      parked: gates.parked,
    },
    announce: () => Promise.resolve(),
    park: (pieces) => {
      if (!broker.takes) return Promise.resolve(pieces);
      broker.parked += pieces.length;
      for (const piece of pieces) piece.close('settled');
      return Promise.resolve([]);
    },
    onRefused: (piece, {reason}) => refused.push(`${piece.batch.deviceId}: ${reason}`),
    onMoved: (pieces) => moved.push(...pieces),
    onBusy: (pieces) => moved.push(...pieces),
    metrics,
    log: createLogger({level: 'silent', service: 'worker', pod: 'test'}),
    now: () => atMs,
    timers: {
      now: () => atMs,
      after: systemTimers.after,
      sleep: async (ms, signal) => {
        atMs += ms;
        await sleep(ms / 1000, signal);
      },
    },
    stopping: stop.signal,
  });
  const send = (
    fixture: {
      readonly isParked?: boolean;
      readonly count?: number;
      readonly bytes?: number;
      readonly attempt?: number;
      readonly isAlone?: boolean;
    } = {},
  ): TestDelivery => {
    const {isParked = false, isAlone = false, count = 1, bytes, attempt = 0} = fixture;
    const batches = bytes === undefined ? batchesOf(count) : [largeBatch(bytes)];
    const delivery = deliver({batches, isParked, isAlone, attempt});
    for (const piece of delivery.pieces) lane.add(piece);
    return delivery;
  };
  const drain = (): Promise<void> => {
    stop.abort();
    return lane.drain();
  };
  return {lane, now: () => atMs, shard, broker, asked, refused, moved, away, metrics, send, drain};
};

const acked = (delivery: TestDelivery) => until('the ack', () => delivery.outcome() === 'acked');

test('a batch that comes again does not share the window of those that come for the first time', async () => {
  const {shard, send} = bench();
  const windows: number[] = [];
  shard.answer = (batches) => {
    windows.push(batches.length);
    return written(batches);
  };
  const deliveries = [send({count: 2}), send({attempt: 1}), send({attempt: 2})];
  await Promise.all(deliveries.map(acked));
  expect(windows.toSorted()).toEqual([2, 2]);
});

test('a short fault is waited out and nothing is parked', async () => {
  const {lane, shard, broker, send} = bench();
  shard.answer = (batches) => (shard.attempts < 4 ? refusing(batches) : written(batches));
  await acked(send({count: 3}));
  expect({attempts: shard.attempts, parked: broker.parked, isAway: lane.isAway()}).toEqual({
    attempts: 4,
    parked: 0,
    isAway: false,
  });
});

test('after a second without an answer batches are parked, the next ones without an attempt', async () => {
  const {lane, shard, broker, away, send} = bench();
  shard.answer = refusing;
  await acked(send({count: 3}));
  expect({isAway: lane.isAway(), away}).toEqual({isAway: true, away: [1]});
  const {attempts} = shard;
  await acked(send({count: 2}));
  expect({attempts: shard.attempts, parked: broker.parked}).toEqual({attempts, parked: 5});
});

test('a connection that hangs alone makes no shard go away, and a second one does', async () => {
  const {lane, shard, broker, send} = bench();
  shard.needsMs = 2_000;
  shard.answer = (batches) => (shard.attempts === 1 ? {...refusing(batches), isSlow: true} : written(batches));
  await acked(send());
  expect({parked: broker.parked, isAway: lane.isAway()}).toEqual({parked: 0, isAway: false});
  shard.answer = (batches) => ({...refusing(batches), isSlow: true});
  await acked(send());
  expect({parked: broker.parked, isAway: lane.isAway()}).toEqual({parked: 1, isAway: true});
});

test('a parked batch is tried until the shard answers, and then others need not be parked', async () => {
  const {lane, shard, broker, send} = bench();
  shard.answer = refusing;
  const patient = send({isParked: true});
  await until('the shard to be away', () => lane.isAway());
  await acked(send());
  shard.answer = written;
  await acked(patient);
  await acked(send());
  expect({parked: broker.parked, isAway: lane.isAway()}).toEqual({parked: 1, isAway: false});
});

test('what waits for its shard goes to the end of its queue before the broker takes it for dead', async () => {
  const {shard, broker, now, send} = bench();
  shard.answer = refusing;
  // The second window is at work only when the first one is done.
  await Promise.all([send({isParked: true, bytes: 1_000_000}), send({isParked: true})].map(acked));
  expect(broker.parked).toBe(2);
  expect(now()).toBeGreaterThan(500_000);
  expect(now()).toBeLessThan(1_200_000);
});

test('a shard that is slow gets the time that it needs, and the others need not wait for it', async () => {
  const {lane, shard, broker, send} = bench();
  shard.needsMs = 7_000;
  await acked(send());
  expect({attempts: shard.attempts, parked: broker.parked}).toEqual({attempts: 1, parked: 1});
  // After 2 and 4 seconds for nothing.
  await acked(send({isParked: true}));
  expect(shard.attempts).toBe(4);
  await acked(send({isParked: true}));
  expect({attempts: shard.attempts, isAway: lane.isAway()}).toEqual({attempts: 5, isAway: true});
  shard.needsMs = 50;
  await acked(send({isParked: true}));
  await acked(send());
  expect({parked: broker.parked, isAway: lane.isAway()}).toEqual({parked: 1, isAway: false});
});

test('a slow shard gets the time that it needs although what was given up holds its rows for a while', async () => {
  const {shard, moved, send} = bench();
  const dawdle = (): void => {
    shard.needsMs = 3_000;
    shard.answer = written;
  };
  // Whoever comes next is told at once that they are held.
  shard.onCut = () => {
    shard.needsMs = 0;
    shard.answer = (batches) => {
      dawdle();
      return {...NOTHING, busy: batches};
    };
  };
  dawdle();
  send({isParked: true});
  await until('the batch that was held', () => moved.length === 1);
  await acked(send({isParked: true}));
  expect(shard.attempts).toBe(3);
});

test('what cannot be parked stays in hand and is applied when the shard is back first', async () => {
  const {lane, shard, broker, send} = bench();
  shard.answer = refusing;
  broker.takes = false;
  const [patient, other] = [send({isParked: true}), send()];
  await until('the shard to be away', () => lane.isAway());
  shard.answer = written;
  await Promise.all([acked(patient), acked(other)]);
  expect(broker.parked).toBe(0);
});

test('a window is not read before those at work leave room for its bytes', async () => {
  const {shard, asked, send} = bench(150_000);
  const {promise, resolve} = Promise.withResolvers<undefined>();
  shard.free = promise;
  const deliveries = [send({bytes: 100_000, attempt: 1}), send({bytes: 20_000})];
  await until('two windows at work', () => shard.attempts === 2);
  deliveries.push(send({bytes: 60_000}));
  await until('the third at the gate', () => asked.length === 3);
  expect(shard.attempts).toBe(2);
  resolve(undefined);
  await Promise.all(deliveries.map(acked));
  expect(shard.attempts).toBe(3);
});

test('parked batches stand in the way of no others while they wait for their shard', async () => {
  const gates = gatesOf(150_000);
  const [hung, well] = [bench(0, gates), bench(0, gates)];
  hung.shard.free = new Promise(() => undefined);
  hung.send({bytes: 140_000, isParked: true});
  await until('a parked batch at work', () => hung.shard.attempts === 1);
  await acked(well.send({bytes: 140_000}));
});

test('what was at the gate when others found out that the shard is away is parked', async () => {
  const {shard, broker, asked, send} = bench(150_000);
  const {promise, resolve} = Promise.withResolvers<undefined>();
  shard.free = promise;
  shard.needsMs = 3_000;
  const deliveries = [send({bytes: 100_000, attempt: 1}), send({bytes: 100_000})];
  await until('the second at the gate', () => asked.length === 2);
  resolve(undefined);
  await Promise.all(deliveries.map(acked));
  expect({attempts: shard.attempts, parked: broker.parked}).toEqual({attempts: 1, parked: 2});
});

test('a suspect of a shard that does not answer keeps nobody waiting', async () => {
  const {lane, shard, broker, asked, send} = bench();
  shard.answers = false;
  await acked(send({isAlone: true}));
  expect({asked, attempts: shard.attempts, parked: broker.parked}).toEqual({asked: [], attempts: 0, parked: 1});
  expect(lane.isAway()).toBe(true);
});

test('a suspect waits until nothing else is at work, and nothing else begins beside it', async () => {
  const {shard, asked, send} = bench(1_000_000);
  const windows: number[] = [];
  shard.answer = (batches) => {
    windows.push(batches.length);
    return written(batches);
  };
  let go = (): void => undefined;
  const hold = (): void => {
    shard.free = new Promise<void>((resolve) => (go = resolve));
  };
  hold();
  const first = send();
  await until('the first at work', () => shard.attempts === 1);
  const suspects = [send({isAlone: true}), send({isAlone: true})];
  await until('a suspect at the gate', () => asked.length === 2);
  const last = send();
  await until('the last at the gate', () => asked.length === 3);
  expect(shard.attempts).toBe(1);
  const release = go;
  hold();
  release();
  await until('the suspect at work', () => shard.attempts === 2);
  expect([first.outcome(), ...suspects.map((one) => one.outcome()), last.outcome()]).toEqual([
    'acked',
    'open',
    'open',
    'open',
  ]);
  shard.free = Promise.resolve();
  go();
  await Promise.all([...suspects, last].map(acked));
  expect(windows).toEqual([1, 1, 1, 1]);
});

test('what was not applied has no lag', async () => {
  const {shard, refused, metrics, send} = bench();
  const counted = async () =>
    (await metrics.lagSeconds.get()).values.find(({metricName}) => metricName?.endsWith('_count') === true)?.value;
  shard.answer = (batches) => ({
    ...NOTHING,
    refused: batches.map((batch) => ({batch, reason: 'a riddle', scope: 'batch' as const})),
  });
  send();
  await until('the refusal', () => refused.length === 1);
  shard.answer = written;
  await acked(send());
  expect(await counted()).toBe(1);
});

test('what stopping leaves undecided is given back', async () => {
  const {lane, shard, broker, send, drain} = bench();
  shard.answer = refusing;
  broker.takes = false;
  const deliveries = [send({isParked: true}), send(), send({count: 4})];
  await until('the shard to be away', () => lane.isAway());
  await drain();
  expect(deliveries.map((delivery) => delivery.outcome())).toEqual(['requeued', 'requeued', 'requeued']);
});

test('what the broker delivers again is not kept', async () => {
  const {lane, shard, send} = bench();
  shard.answer = refusing;
  const patient = send({isParked: true});
  await until('the shard to be away', () => lane.isAway());
  patient.lose();
  await until('the piece to be dropped', () => patient.outcome() === 'requeued');
});

test('refused and moved batches go their ways and the others of the bundle are settled', async () => {
  const {shard, refused, moved, send} = bench();
  shard.answer = (batches) => {
    const [bad, elsewhere, ...good] = batches;
    if (bad === undefined || elsewhere === undefined) throw new Error('three batches come together');
    return {...written(good), refused: [{batch: bad, reason: 'a riddle', scope: 'batch'}], moved: [elsewhere]};
  };
  const delivery = send({count: 3});
  await until('the verdicts', () => moved.length === 1);
  expect(refused).toEqual(['device-0: a riddle']);
  expect(delivery.outcome()).toBe('open');
  for (const piece of delivery.pieces) piece.close('settled');
  expect(delivery.outcome()).toBe('acked');
});
