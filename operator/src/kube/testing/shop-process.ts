/**
 * A shop operator in a process of its own, for tests that stop and kill it: `node shop-process.ts <server> <token> <identity>`.
 * It trusts any certificate. Ends on SIGTERM.
 */
import {type Clock, systemClock} from '../clock.ts';
import {createEngine} from '../engine.ts';
import {identity, randomText, testMetrics} from './fixtures.ts';
import {shopController} from './shop.ts';

const [server = '', token = '', name = ''] = process.argv.slice(2);
const write = (fields: object, message: string): void =>
  void process.stdout.write(`${new Date().toISOString()} ${message} ${JSON.stringify(fields)}\n`);

/**
 * Twice as fast as time, so that a lease passes in half of it. Every process of a test goes by it; twice only, because a busy
 * machine must still renew in time.
 */
const fastClock: Clock = {
  now: () => systemClock.now(),
  monotonicMs: () => 2 * systemClock.monotonicMs(),
  schedule: (delayMs, run) => systemClock.schedule(delayMs / 2, run),
};

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

await createEngine({
  name: 'shop',
  controller: shopController(),
  identity,
  credentials: () =>
    Promise.resolve({server, tls: {rejectUnauthorized: false}, headers: {authorization: `Bearer ${token}`}}),
  userAgent: name,
  namespaces: [],
  workers: 2,
  lease: {namespace: 'default', name: 'shop-operator', identity: name},
  clock: fastClock,
  random: Math.random,
  randomText,
  metrics: testMetrics(),
  log: {debug: write, info: write, warn: write, error: write},
}).run(stop.signal);
