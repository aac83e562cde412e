import {expect, test} from '@jest/globals';
import {Registry} from 'prom-client';
import {AppError} from '../errors/app-error.ts';
import {type BundleItem, decodeBundle} from './bundle.ts';
import {systemTimers} from '../lifecycle/timers.ts';
import {type BundlerLimits, createBundler} from './bundler.ts';
import {brokerNames} from './names.ts';
import type {Outgoing} from './outgoing.ts';

const LIMITS: BundlerLimits = {maxItems: 3, maxBytes: 100, maxInFlight: 1, maxWaiting: 5};

/** A broker that confirms when it is told to. */
const createSetup = () => {
  const sent: {readonly message: Outgoing; readonly confirm: () => void; readonly fail: (error: AppError) => void}[] =
    [];
  const bundler = createBundler({
    publisher: {
      publish: (message) => new Promise((resolve, reject) => sent.push({message, confirm: resolve, fail: reject})),
    },
    names: brokerNames('test'),
    partitions: 2,
    limits: LIMITS,
    soon: systemTimers.soon,
    registry: new Registry(),
  });
  const numbers = () => sent.map(({message}) => decodeBundle(message.content).items.map(({meta}) => meta.batchSeq));
  return {sent, bundler, numbers};
};

const item = (batchSeq: number, bytes = 1, slot = 0): BundleItem => ({
  meta: {
    deviceId: 'd',
    deviceKey: 1,
    slot,
    epoch: 1,
    batchSeq,
    contentHash: '0'.repeat(64),
    receivedAt: 1,
    receivedDay: '2026-01-01',
    mode: 'delta',
    reason: null,
    bad: [],
  },
  payload: Buffer.alloc(bytes),
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('what arrives while a bundle is on its way leaves together when it is confirmed, within the limits', async () => {
  const {sent, bundler, numbers} = createSetup();
  const first = bundler.add(item(1), 'normal');
  await turn();
  const rest = [2, 3, 4, 5].map((number) => bundler.add(item(number), 'normal'));
  await turn();
  expect(numbers()).toEqual([[1]]);
  sent[0]?.confirm();
  await first;
  await turn();
  expect(numbers()).toEqual([[1], [2, 3, 4]]);
  sent[1]?.confirm();
  await turn();
  sent[2]?.confirm();
  await Promise.all(rest);
  expect(numbers()).toEqual([[1], [2, 3, 4], [5]]);
});

test('partitions and priorities do not wait for each other', async () => {
  const {sent, bundler} = createSetup();
  void bundler.add(item(1, 1, 0), 'normal');
  void bundler.add(item(2, 1, 1), 'normal');
  void bundler.add(item(3, 1, 0), 'high');
  await turn();
  expect(sent.map(({message}) => message.routingKey)).toEqual(['p00.normal', 'p01.normal', 'p00.high']);
});

test('a bundle that fails fails those that wait behind it, and the next is tried anew', async () => {
  const {sent, bundler} = createSetup();
  const adds = [bundler.add(item(1), 'normal')];
  await turn();
  adds.push(bundler.add(item(2), 'normal'));
  const outcomes = Promise.allSettled(adds);
  sent[0]?.fail(new AppError('broker-timeout', 'no confirm'));
  expect((await outcomes).map(({status}) => status)).toEqual(['rejected', 'rejected']);
  const next = bundler.add(item(3), 'normal');
  await turn();
  sent[1]?.confirm();
  await next;
});

test('a queue that does not confirm takes its share of what may wait, and one bundle at a time after that', async () => {
  const {sent, bundler} = createSetup();
  const add = (batchSeq: number, slot = 0) => bundler.add(item(batchSeq, 1, slot), 'normal');
  const adds = [1, 2, 3, 4, 5].map((number) => add(number));
  await turn();
  await expect(add(6)).rejects.toMatchObject({code: 'broker-unavailable'});
  void add(7, 1);
  await turn();
  expect(sent.map(({message}) => message.routingKey)).toEqual(['p00.normal', 'p01.normal']);
  sent[0]?.fail(new AppError('broker-timeout', 'no confirm'));
  await Promise.allSettled(adds);
  const [first] = [8, 9, 10].map((number) => add(number));
  await turn();
  await expect(add(11)).rejects.toMatchObject({code: 'broker-unavailable'});
  sent[2]?.confirm();
  await first;
  for (let number = 12; number < 17; number++) void add(number);
  await expect(add(17)).rejects.toMatchObject({code: 'broker-unavailable'});
});
