import {EventEmitter, once} from 'node:events';
import {expect, test} from '@jest/globals';
import {defineConfig} from '../config/config.ts';
import {sharedVariables} from '../config/shared.ts';
import {runService, type Service} from './run-service.ts';

const definition = defineConfig({command: 'example', summary: 'does nothing', variables: sharedVariables});
type Body = Parameters<typeof runService<typeof sharedVariables>>[0]['body'];

/** A process whose exit can be awaited. */
const createProcess = (env: Readonly<Record<string, string>>) => {
  const emitter = new EventEmitter();
  const written: string[] = [];
  const write = (text: string) => written.push(text);
  const exited = Promise.withResolvers<number>();
  return Object.assign(emitter, {
    env: {PISYNC_LOG_LEVEL: 'error', PISYNC_OPS_PORT: '0', ...env},
    stdout: {write},
    stderr: {write},
    exit: exited.resolve,
    exited: exited.promise,
    written,
  });
};

const run = (fake: ReturnType<typeof createProcess>, body: Body, argv: readonly string[] = []) =>
  runService({definition, argv, process: fake, now: () => performance.now(), drainMs: () => 30, body});

test('a signal turns readiness off, drains, closes what was opened and exits with 0', async () => {
  const fake = createProcess({});
  const started = new EventEmitter();
  const ready = once(started, 'ready');
  let closed = false;
  await run(fake, async (service: Service<unknown>) => {
    await service.life.own(
      'thing',
      () => 0,
      () => {
        closed = true;
      },
    );
    started.emit('ready', service);
    return 'serving';
  });
  const [service] = (await ready) as [Service<unknown>];
  expect((await service.readiness.look()).ready).toBe(true);
  fake.emit('SIGTERM', 'SIGTERM');
  expect({report: await service.readiness.look(), closed}).toEqual({
    report: {ready: false, checks: {process: 'stopping'}},
    closed: false,
  });
  expect({code: await fake.exited, closed}).toEqual({code: 0, closed: true});
});

test('a job exits by itself, a failure with 1, and a wrong environment with 2 and the reason', async () => {
  const job = createProcess({});
  await run(job, () => Promise.resolve('done'));
  expect(await job.exited).toBe(0);
  const failing = createProcess({PISYNC_LOG_LEVEL: 'error'});
  await run(failing, () => Promise.reject(new Error('no')));
  expect(await failing.exited).toBe(1);
  const wrong = createProcess({PISYNC_OPS_PORT: 'x', PISYNC_LOG_LEVEL: 'loud'});
  await run(wrong, () => Promise.resolve('done'));
  expect(await wrong.exited).toBe(2);
  expect(wrong.written.join('')).toMatch(/PISYNC_LOG_LEVEL[^]*PISYNC_OPS_PORT/);
});
