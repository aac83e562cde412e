import {expect, test} from '@jest/globals';
import {createLifecycle} from './lifecycle.ts';

const log = {info: () => undefined, error: () => undefined};
const open = (timeoutMs = 1000) => createLifecycle({log, timeoutMs, now: () => performance.now()});

test('what was opened last is closed first, once, however often a stop is asked for', async () => {
  const life = open();
  const closed: string[] = [];
  for (const name of ['pool', 'broker', 'server'])
    await life.own(
      name,
      () => name,
      (own) => void closed.push(own),
    );
  const outcomes = await Promise.all([life.stop(), life.stop()]);
  expect({closed, outcomes}).toEqual({closed: ['server', 'broker', 'pool'], outcomes: [true, true]});
});

test('a resource that hangs or fails to close keeps none of the others open', async () => {
  const life = open(100);
  const closed: string[] = [];
  await life.own(
    'pool',
    () => 'pool',
    (own) => void closed.push(own),
  );
  await life.own(
    'hanging',
    () => 0,
    () => new Promise<void>(() => undefined),
  );
  await life.own(
    'failing',
    () => 0,
    () => Promise.reject(new Error('no')),
  );
  expect(await life.stop()).toBe(false);
  expect(closed).toEqual(['pool']);
});

test('what finishes opening after the stop began is closed again', async () => {
  const life = open();
  const gate = Promise.withResolvers<string>();
  const closed: string[] = [];
  const opening = life.own(
    'late',
    () => gate.promise,
    (own) => void closed.push(own),
  );
  await life.stop();
  gate.resolve('late');
  await expect(opening).rejects.toThrow(/stopping/);
  expect(closed).toEqual(['late']);
  await expect(
    life.own(
      'new',
      () => 0,
      () => undefined,
    ),
  ).rejects.toThrow(/stopping/);
});

test('readiness is told before the first resource closes', async () => {
  const life = open();
  let toldFirst = false;
  await life.own(
    'server',
    () => 0,
    () => {
      toldFirst = life.stopping.aborted;
    },
  );
  await life.stop(10);
  expect(toldFirst).toBe(true);
});
