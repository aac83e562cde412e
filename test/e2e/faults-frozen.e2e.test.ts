import {setTimeout as pause} from 'node:timers/promises';
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {shardRows} from './kit/device.ts';
import {type Report} from './kit/fleet.ts';
import {helmInstall} from './kit/operator.ts';
import {freezePod, type FrozenPod} from './kit/pod-processes.ts';
import {probeOn, type Probe, type TimedAnswer} from './kit/probe.ts';
import {dropRegion, readyRegion, untilReady, type Region} from './kit/region.ts';
import {syncWhile} from './kit/sync-while.ts';
import {until} from './kit/until.ts';

/** Longer than every time-out between the parts, shorter than what has the kubelet restart a container. */
const FROZEN_MS = 15_000;
/** From the end of a fault to a new batch that is applied. */
const RECOVERY_MS = 15_000;
/** What a device waits for its answer while a part that the answer does not need says nothing. */
const PATIENCE_MS = 5_000;

/** From a worker's last word to the end of its locks, however long it is silent. */
const LOCKS_TAKEN_MS = 10_000;

const FLEET = {devices: 200, batches: 8, records: 20, seconds: 25} as const;
const ALL = {ok: true, acked: 1600, applied: 1600, lost: 0, duplicated: 0};

const briefly = ({status, tookMs}: TimedAnswer): string => `${status} after ${tookMs} ms`;

/** Whom no cache knows cannot be let in without its shard; it is told so before a proxy gives up. */
const expectOnlyRefusals = ({errors, request}: Report): void => {
  expect(Object.keys(errors).filter((error) => !error.startsWith('sync: HTTP 503: Shard unavailable'))).toEqual([]);
  expect(request.maxMs).toBeLessThan(10_000);
};

describe('devices sync', () => {
  let region: Region;
  let probes: readonly [Probe, Probe];
  beforeAll(async () => {
    await helmInstall();
    region = await readyRegion('frozen');
    probes = [await probeOn(region, 0), await probeOn(region, 1)];
  }, 300_000);
  afterAll(() => dropRegion(region), 90_000);

  const whileFrozen = async (selector: string, work: () => Promise<string>): Promise<string> => {
    const [victim] = await region.kubectl.list('pods', selector);
    if (victim === undefined) throw new Error(`no pod with ${selector}`);
    const frozen = await freezePod(victim);
    try {
      const [seen] = await Promise.all([work(), pause(FROZEN_MS)]);
      return `${victim.metadata.name} frozen, ${seen}`;
    } finally {
      frozen.thaw();
    }
  };

  const recovery = async (): Promise<string> => {
    const took = await Promise.all(probes.map((probe) => probe.untilApplied(RECOVERY_MS)));
    return `new batches of the shards applied ${took.join(' and ')} ms after the end`;
  };

  const sessionStates = (pod: string): Promise<readonly string[]> =>
    shardRows(region, 1, `select distinct state from pg_stat_activity where application_name like '${pod}/%'`);

  /** Holds a table that is written last, so that a worker waits for it with its devices' rows in hand, and freezes that worker. */
  const freezeInTransaction = (): Promise<{readonly frozen: FrozenPod; readonly name: string}> =>
    until('a worker to be frozen in a transaction', async () => {
      const workers = await region.kubectl.list('pods', 'app.kubernetes.io/component=worker');
      const held = shardRows(region, 1, 'begin; lock table device_status; select pg_sleep(2); commit');
      const victim = await until('a worker to wait for the lock', async () => {
        const [application] = await shardRows(
          region,
          1,
          `select application_name from pg_locks join pg_stat_activity using (pid)
           where not granted and relation = 'device_status'::regclass and application_name like '%-worker-%' limit 1`,
        );
        return workers.find(({metadata}) => application?.startsWith(`${metadata.name}/`));
      });
      const {name} = victim.metadata;
      const frozen = await freezePod(victim);
      await held;
      const states = await sessionStates(name);
      if (states.includes('idle in transaction')) return {frozen, name};
      // It gave up waiting a moment before.
      frozen.thaw();
      throw new Error(`the sessions of ${name} are ${states.join(', ')}`);
    });

  test.each([
    ['a worker', 'app.kubernetes.io/component=worker'],
    ['the cache', 'app.kubernetes.io/component=redis'],
  ])(
    'while %s stands still, and no call fails',
    async (_what, selector) => {
      const {report, verdict} = await syncWhile(region, FLEET, async () => {
        const seen = await whileFrozen(selector, async () => {
          const answers = await Promise.all(probes.map((probe) => probe.send()));
          for (const {status, tookMs, text} of answers) {
            expect({status, text}).toMatchObject({status: 200});
            expect(tookMs).toBeLessThan(PATIENCE_MS);
          }
          return `answers meanwhile: ${answers.map(briefly).join(', ')}`;
        });
        return `${seen}, ${await recovery()}`;
      });
      expect(report.errors).toEqual({});
      expect(verdict).toMatchObject(ALL);
    },
    240_000,
  );

  test('while a worker stands still in a transaction: what it has locked is taken from it', async () => {
    const {report, verdict} = await syncWhile(region, FLEET, async () => {
      const {frozen, name} = await freezeInTransaction();
      try {
        const began = performance.now();
        await until(
          `${name} to have lost its locks`,
          async () => {
            const states = await sessionStates(name);
            if (states.includes('idle in transaction')) throw new Error(`its sessions are ${states.join(', ')}`);
            return true;
          },
          {timeoutMs: LOCKS_TAKEN_MS},
        );
        const takenMs = Math.round(performance.now() - began);
        return `${name} frozen in a transaction, its locks taken after ${takenMs} ms, ${await recovery()}`;
      } finally {
        frozen.thaw();
      }
    });
    expect(report.errors).toEqual({});
    expect(verdict).toMatchObject(ALL);
  }, 240_000);

  test('while a shard stands still: the other goes on, and devices of both are answered', async () => {
    const {report, verdict} = await syncWhile(region, FLEET, async () => {
      const seen = await whileFrozen('app.kubernetes.io/component=postgres,pisync.io/shard=1', async () => {
        const otherMs = await probes[0].untilApplied(PATIENCE_MS);
        const answer = await probes[1].send();
        expect({status: answer.status, text: answer.text}).toMatchObject({status: 200});
        expect(answer.tookMs).toBeLessThan(PATIENCE_MS);
        return `meanwhile the other applied after ${otherMs} ms, its own devices are answered ${briefly(answer)}`;
      });
      return `${seen}, ${await recovery()}`;
    });
    expectOnlyRefusals(report);
    expect(verdict).toMatchObject(ALL);
  }, 240_000);

  test('while a device-api stands still: what it then still publishes is applied once', async () => {
    const {report, verdict} = await syncWhile(region, FLEET, async () => {
      const seen = await whileFrozen('app.kubernetes.io/component=device-api', () =>
        Promise.resolve('every other call hung'),
      );
      return `${seen}, ${await recovery()}`;
    });
    expect(report.request.maxMs).toBeGreaterThan(PATIENCE_MS);
    expect(verdict).toMatchObject(ALL);
  }, 240_000);

  test('while the broker stands still: devices are told when to come back', async () => {
    const {report, verdict} = await syncWhile(region, FLEET, async () => {
      const seen = await whileFrozen('app.kubernetes.io/component=rabbitmq', async () => {
        const answer = await probes[0].send();
        expect({status: answer.status, text: answer.text}).toMatchObject({status: 503});
        expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
        return `a device is answered ${briefly(answer)}`;
      });
      return `${seen}, ${await recovery()}`;
    });
    expect(Object.keys(report.errors)).toContainEqual(expect.stringMatching(/503/));
    expect(verdict).toMatchObject(ALL);
  }, 240_000);

  test('while somebody holds a table of a shard: the other goes on, and devices of both are answered', async () => {
    const {report, verdict} = await syncWhile(region, FLEET, async () => {
      const held = shardRows(region, 1, 'begin; lock table device_state; select pg_sleep(10); commit');
      await until('writers to wait for the lock', async () => {
        const [waiting] = await shardRows(
          region,
          1,
          `select count(*) from pg_locks where not granted and relation = 'device_state'::regclass`,
        );
        return Number(waiting) > 0 ? true : undefined;
      });
      const otherMs = await probes[0].untilApplied(PATIENCE_MS);
      const answer = await probes[1].send();
      expect({status: answer.status, text: answer.text}).toMatchObject({status: 200});
      expect(answer.tookMs).toBeLessThan(PATIENCE_MS);
      await held;
      return `device_state of shard 1 locked, meanwhile the other applied after ${otherMs} ms, its own devices are answered ${briefly(answer)}, ${await recovery()}`;
    });
    expectOnlyRefusals(report);
    expect(verdict).toMatchObject(ALL);
    await untilReady(region);
  }, 240_000);
});
