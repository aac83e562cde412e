/**
 * Thousands of calls that mean no good, against one process of each API while others use it: none is a fault of the server, the others hardly notice, and memory
 * stays far from its limit. `make faults` makes 10,000 of them (PISYNC_TEST_HOSTILE_CALLS); another seed makes others (PISYNC_TEST_HOSTILE_SEED).
 */
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {tableOf} from './attack.ts';
import {type HostileRegion, lootOf, MEMORY_LIMIT_BYTES, startHostileRegion} from './region.ts';
import type {Api, Loot} from './targets.ts';
import {watch} from './watch.ts';

const SEED = Number(process.env['PISYNC_TEST_HOSTILE_SEED'] ?? '1');
const CALLS = Number(process.env['PISYNC_TEST_HOSTILE_CALLS'] ?? '240');
/** With fewer calls a percentile says little, and other tests run at the same time, so nothing is said of times. */
const IS_MEASURED = CALLS >= 10_000;
const CALLS_A_SECOND = 80;

const INNOCENT_A_SECOND = {'device-api': 60, 'admin-api': 30} as const;
/** The slow ones go on for as long after the last call has begun. */
const AFTER_MS = 10_000;
const ATTACK_MS = (CALLS / CALLS_A_SECOND) * 1000;
const QUIET_MS = IS_MEASURED ? 60_000 : 3_000;

let region: HostileRegion;
let innocent: Loot;
let loot: Loot;
beforeAll(async () => {
  region = await startHostileRegion();
  innocent = lootOf(await region.enrolDevices(100), await region.makeTokens(4));
  loot = lootOf(await region.enrolDevices(100), await region.makeTokens(4));
}, 120_000);
afterAll(() => region.close(), 60_000);

const print = (text: string): void => void process.stderr.write(text);

test.each<Api>(['device-api', 'admin-api'])(
  'what means no good is refused by %s, and costs the others little',
  async (api) => {
    const service = region.services[api];
    const {port} = service;
    let firstBatch = 1;
    const live = async (durationMs: number) => {
      const seen = await region.live({
        api,
        port,
        those: innocent,
        perSecond: INNOCENT_A_SECOND[api],
        durationMs,
        firstBatch,
      });
      firstBatch = seen.nextBatch;
      return seen;
    };
    // The first calls of a process are slow ones.
    await live(QUIET_MS / 4);
    const quiet = await live(QUIET_MS);
    const watching = await watch(service);
    const {promise: hasBegun, resolve: begin} = Promise.withResolvers<undefined>();
    const attack = {api, port, loot, seed: SEED, calls: CALLS, perSecond: CALLS_A_SECOND};
    const [casualties, disturbed] = await Promise.all([
      region.attack(attack, () => begin(undefined)),
      hasBegun.then(() => live(ATTACK_MS + (IS_MEASURED ? AFTER_MS : 0))),
    ]);
    const health = await watching.stop();
    const memory = `${Math.round(health.peakBytes / 1024 / 1024)} MiB at the most`;
    print(`\n${CALLS} calls of seed ${SEED} against ${api}:\n${tableOf(casualties)}`);
    print(`  others before: ${JSON.stringify(quiet)}\n  meanwhile: ${JSON.stringify(disturbed)}\n`);
    print(`  ${memory}, event loop held for ${health.longestHoldMs} ms at the most, ${health.cpuSeconds} s of CPU\n`);

    expect(casualties.faults).toEqual([]);
    expect(Object.keys(disturbed.statuses)).toEqual(['200']);
    expect(health.peakBytes).toBeLessThan((MEMORY_LIMIT_BYTES * 2) / 3);
    if (!IS_MEASURED) return;
    expect(health.longestHoldMs).toBeLessThan(250);
    expect(disturbed.p99Ms).toBeLessThanOrEqual(2 * quiet.p99Ms);
  },
  QUIET_MS * 2 + ATTACK_MS + 90_000,
);
