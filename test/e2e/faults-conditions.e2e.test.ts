import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {helmInstall} from './kit/operator.ts';
import {condition, dropRegion, readyRegion, untilReady, type Condition, type Region} from './kit/region.ts';
import {watchStatus} from './kit/status-watch.ts';
import {until} from './kit/until.ts';
import {FAULTS, type Fault} from './walks/faults.ts';
import {takeBack} from './walks/walk.ts';

/** From a fault to a condition that tells of it: the region tries itself every ten seconds, with a deadline for each attempt. */
const TOLD_MS = 30_000;
/** From a mend to a region that is Ready. */
const MENDED_MS = 120_000;

/** Worked out from the others, so that every fault here turns one of them. */
const SUMMARY = ['Ready', 'Reconciling', 'Stalled'];

describe('a condition is turned by a fault, and turned back by its mend', () => {
  let region: Region;
  beforeAll(async () => {
    await helmInstall();
    region = await readyRegion('judged', {
      postgres: {shards: 1, storage: {size: '1Gi'}},
      adminApi: {replicas: 1},
    });
  }, 300_000);
  afterAll(() => dropRegion(region), 90_000);

  const untilTurned = ({turns, reason, informative, toldMs = TOLD_MS}: Fault): Promise<boolean> =>
    until(
      `${turns.join(', ')} to be turned`,
      async () => {
        const object = await region.kubectl.get('psr', region.name);
        if (object === undefined) throw new Error('there is no region');
        const found = turns.map((type) => condition(object, type));
        if (found.some((item) => item === undefined || item.status === 'True' || item.reason !== reason))
          throw new Error(JSON.stringify(found));
        expect(condition(object, 'Ready')?.status === 'True').toBe(informative === true);
        return true;
      },
      {timeoutMs: toldMs},
    );

  const untilTurnedBack = (turns: readonly string[]): Promise<boolean> =>
    until(
      `${turns.join(', ')} to be turned back`,
      async () => {
        const object = await untilReady(region, MENDED_MS);
        const found = turns.map((type) => condition(object, type));
        if (found.some((item) => item?.status !== 'True')) throw new Error(JSON.stringify(found));
        return true;
      },
      {timeoutMs: MENDED_MS},
    );

  const turnedAndBack = async (fault: Fault): Promise<string> => {
    const mends = new AsyncDisposableStack();
    let began: number;
    const tookMs = (): number => Math.round(performance.now() - began);
    let told: number;
    try {
      await fault.begin(region, mends);
      began = performance.now();
      await untilTurned(fault);
      told = tookMs();
    } finally {
      await mends.disposeAsync();
    }
    began = performance.now();
    await untilTurnedBack(fault.turns);
    return `told after ${told} ms, well ${tookMs()} ms after the mend`;
  };

  test.each(FAULTS.map((fault) => [fault.what, fault] as const))(
    '%s',
    async (_what, fault) => {
      const {spec} = await untilReady(region);
      const watch = watchStatus(region);
      try {
        const took = await turnedAndBack(fault);
        expect(watch.broken).toEqual([]);
        process.stdout.write(`    ${fault.what}: ${took}\n`);
      } finally {
        watch.stop();
        // What a fault asked of the region is not the next one's matter.
        await takeBack(region, spec);
        process.stdout.write(`      ${watch.story.map((line) => line.slice(0, 200)).join('\n      ')}\n`);
      }
    },
    420_000,
  );

  test('there is no condition that nothing turns', async () => {
    const {status} = await untilReady(region);
    // a list of such objects in every API that has them
    const types = (status?.['conditions'] as readonly Condition[]).map(({type}) => type);
    const turned = new Set([...SUMMARY, ...FAULTS.flatMap(({turns}) => turns)]);
    expect(types.filter((type) => !turned.has(type))).toEqual([]);
  });
});
