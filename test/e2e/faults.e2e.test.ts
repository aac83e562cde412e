import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {alarmsOf, whileShortOfDisk} from './kit/broker.ts';
import {cacheSizes} from './kit/cache.ts';
import {batchBody, enrolled, post, record} from './kit/device.ts';
import {startFleet} from './kit/fleet.ts';
import {killPod} from './kit/pod-processes.ts';
import {helmInstall} from './kit/operator.ts';
import {probeOn, type TimedAnswer} from './kit/probe.ts';
import {dropRegion, readyRegion, regionCalled, regionYaml, untilReady, type Region} from './kit/region.ts';
import {syncWhile} from './kit/sync-while.ts';
import {until} from './kit/until.ts';

/** From the end of a fault to a new batch that is applied. */
const RECOVERY_MS = 15_000;

const isPromptRefusal = ({status, tookMs, headers}: TimedAnswer): boolean =>
  status === 503 && tookMs < 1000 && Number(headers['retry-after']) > 0;

describe('devices sync', () => {
  let region: Region;
  beforeAll(async () => {
    await helmInstall();
    region = await readyRegion('faulty');
  }, 300_000);
  afterAll(() => dropRegion(region), 90_000);

  test('through the Ingress, and the ledger agrees with the shards', async () => {
    const fleet = await startFleet(region, {devices: 200, batches: 3, records: 20});
    await fleet.done;
    expect(await fleet.judge()).toMatchObject({ok: true, acked: 600, applied: 600, lost: 0, duplicated: 0});
  }, 180_000);

  test('while the services are rolled out, and every answer is a 2xx', async () => {
    const devices = 200;
    const batches = 15;
    const fleet = await startFleet(region, {devices, batches, records: 20, seconds: 60});
    const state = {fleetEnded: false};
    const ended = (): void => {
      state.fleetEnded = true;
    };
    fleet.done.then(ended, ended);
    // All at once, as when the region gets a new version.
    const services = ['device-api', 'worker', 'admin-api'].map((service) => `deployment/${region.name}-${service}`);
    await region.kubectl.ok(['rollout', 'restart', ...services]);
    for (const service of services)
      await region.kubectl.ok(['rollout', 'status', service, '--timeout=120s'], undefined, 130_000);
    await until('the old pods to have left', async () => {
      const pods = await region.kubectl.list('pods', 'app.kubernetes.io/component in (device-api,worker,admin-api)');
      const leaving = pods.filter(({metadata}) => metadata.deletionTimestamp !== undefined);
      if (leaving.length > 0) throw new Error(leaving.map(({metadata}) => metadata.name).join(', '));
      return true;
    });
    // otherwise nobody was there to notice
    expect(state).toEqual({fleetEnded: false});
    const {acked, errors} = await fleet.done;
    expect({acked, errors}).toEqual({acked: devices * batches, errors: {}});
    expect(await fleet.judge()).toMatchObject({ok: true, acked: devices * batches, lost: 0, duplicated: 0});
  }, 400_000);

  const KILLS: readonly (readonly [string, string])[] = [
    ['a worker', 'app.kubernetes.io/component=worker'],
    ['the broker', 'app.kubernetes.io/component=rabbitmq'],
    ['a shard', 'app.kubernetes.io/component=postgres,pisync.io/shard=1'],
    ['a device-api', 'app.kubernetes.io/component=device-api'],
    ['the cache', 'app.kubernetes.io/component=redis'],
  ];
  test.each(KILLS)(
    'while %s is killed with -9, and nothing acknowledged is lost or applied twice',
    async (_what, selector) => {
      const {verdict} = await syncWhile(region, {devices: 200, batches: 3, records: 20, seconds: 12}, async () => {
        const [victim] = await region.kubectl.list('pods', selector);
        if (victim === undefined) throw new Error(`no pod with ${selector}`);
        return `${killPod(victim)} processes of ${victim.metadata.name} killed`;
      });
      expect(verdict).toMatchObject({ok: true, acked: 600, applied: 600, lost: 0, duplicated: 0});
      await untilReady(region);
    },
    300_000,
  );

  test('while the broker is short of disk: who calls is told at once when to come back, and nothing is lost', async () => {
    const probe = await probeOn(region, 0);
    const fault = async (): Promise<string> => {
      const refused = await whileShortOfDisk(region, async () => {
        expect(await alarmsOf(region)).toEqual(['disk']);
        const answers: TimedAnswer[] = [];
        // The first calls are what a connection notices the alarm by; each waits for a confirm that does not come.
        await until('every device-api to turn batches away', async () => {
          answers.push(await probe.send());
          const last = answers.slice(-6);
          if (last.length === 6 && last.every(isPromptRefusal)) return true;
          throw new Error(JSON.stringify(last.map(({status, tookMs, text}) => ({status, tookMs, text}))));
        });
        return answers;
      });
      const recoveredMs = await probe.untilApplied(RECOVERY_MS);
      const slowest = Math.max(...refused.map(({tookMs}) => tookMs));
      return `an alarm for ${refused.length} calls, the slowest of them answered after ${slowest} ms, and a batch applied ${recoveredMs} ms after its end`;
    };
    const {report, verdict} = await syncWhile(region, {devices: 200, batches: 3, records: 20, seconds: 12}, fault);
    expect(Object.keys(report.errors)).toContainEqual(expect.stringMatching(/503/));
    expect(verdict).toMatchObject({ok: true, acked: 600, applied: 600, lost: 0, duplicated: 0});
  }, 240_000);

  test('while the cache is emptied again and again, and no call fails', async () => {
    const {report, verdict} = await syncWhile(
      region,
      {devices: 200, batches: 5, records: 20, seconds: 15},
      async () => {
        const dropped: number[] = [];
        for (let round = 0; round < 3; round++) {
          const keys = await until('the cache to be in use', async () => {
            const [before = 0] = await cacheSizes(region);
            if (before <= 20) throw new Error(`it has ${before} keys`);
            const [found = 0, left = Infinity] = await cacheSizes(region, 'FLUSHALL');
            expect(left).toBeLessThan(found);
            return found;
          });
          dropped.push(keys);
        }
        return `${dropped.join(', ')} keys dropped from the cache`;
      },
    );
    expect(report.errors).toEqual({});
    expect(verdict).toMatchObject({ok: true, acked: 1000, applied: 1000, lost: 0, duplicated: 0});
  }, 180_000);

  test('through a Gateway’s HTTPRoute', async () => {
    const routed = regionCalled('faulty');
    const gatewayRef = {name: 'pisync', namespace: 'projectcontour'};
    await region.kubectl.apply(
      regionYaml(routed, {ingress: {host: 'gw.sync.example.com', adminHost: 'gw.admin.example.com', gatewayRef}}),
    );
    await untilReady(region);
    // They serve until the Gateway has accepted the routes.
    await until('the Ingresses to be gone', async () =>
      (await region.kubectl.list('ingress')).length === 0 ? true : undefined,
    );
    const device = await enrolled(region, 'behind-a-gateway', 'gw.sync.example.com');
    const answer = await post(device, batchBody(device, 1, [record(1)]));
    expect({status: answer.status, text: answer.text}).toMatchObject({status: 200});
    const fleet = await startFleet(region, {host: 'gw.sync.example.com', devices: 100, batches: 2, records: 20});
    await fleet.done;
    expect(await fleet.judge()).toMatchObject({ok: true, acked: 200, lost: 0, duplicated: 0});
  }, 240_000);
});
