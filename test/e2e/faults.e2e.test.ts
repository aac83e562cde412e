import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {allRows, batchBody, enrolled, post, record} from './kit/device.ts';
import {startFleet} from './kit/fleet.ts';
import {killPod} from './kit/kill.ts';
import {helmInstall} from './kit/operator.ts';
import {dropRegion, readyRegion, regionCalled, regionYaml, untilReady, type Region} from './kit/region.ts';
import {until} from './kit/until.ts';

describe('devices sync', () => {
  let region: Region;
  beforeAll(async () => {
    await helmInstall();
    region = await readyRegion('faulty');
  }, 300_000);
  afterAll(() => dropRegion(region), 90_000);

  const receipts = async (): Promise<number> =>
    (await allRows(region, 'select count(*) from receipt')).reduce((total, count) => total + Number(count), 0);

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
      const before = await receipts();
      const fleet = await startFleet(region, {devices: 200, batches: 3, records: 20, seconds: 12});
      await until('the fleet to be at work', async () => ((await receipts()) - before > 60 ? true : undefined), {
        everyMs: 100,
      });
      const [victim] = await region.kubectl.list('pods', selector);
      if (victim === undefined) throw new Error(`no pod with ${selector}`);
      expect(killPod(victim)).toBeGreaterThan(0);
      await fleet.done;
      expect(await fleet.judge()).toMatchObject({ok: true, acked: 600, applied: 600, lost: 0, duplicated: 0});
      await untilReady(region);
    },
    300_000,
  );

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
