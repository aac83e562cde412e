import {setTimeout as pause} from 'node:timers/promises';
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {nodeOf, untilNode, whileNode, type Trouble} from './kit/node-trouble.ts';
import {helmInstall} from './kit/operator.ts';
import {probeOn, type Probe} from './kit/probe.ts';
import {dropRegion, readyRegion, untilReady, type Region} from './kit/region.ts';
import {syncWhile} from './kit/sync-while.ts';

/** Longer than Kubernetes takes to notice. */
const AWAY_MS = 20_000;
/** From the node's return to a new batch of every shard that is applied: its kubelet has to start, and then the pods on it. */
const RECOVERY_MS = 60_000;

describe('devices sync', () => {
  let region: Region;
  let probes: readonly [Probe, Probe];
  beforeAll(async () => {
    await helmInstall();
    region = await readyRegion('nodes');
    probes = [await probeOn(region, 0), await probeOn(region, 1)];
  }, 300_000);
  afterAll(() => dropRegion(region), 90_000);

  // The fleet's deadline is two minutes after its last batch became due.
  const FLEET = {devices: 200, batches: 8, records: 20, seconds: 45} as const;
  const CASES: readonly (readonly [string, Trouble, string])[] = [
    ['a shard', 'loses power', 'pg-1-0'],
    ['the broker', 'loses power', 'rabbitmq-0'],
    ['the first shard', 'loses its network', 'pg-0-0'],
    ['the broker', 'loses its network', 'rabbitmq-0'],
  ];
  test.each(CASES)(
    'while the node of %s %s for a while, and nothing acknowledged is lost or applied twice',
    async (_what, trouble, resident) => {
      await untilReady(region);
      const {verdict} = await syncWhile(region, FLEET, async () => {
        const pods = await region.kubectl.list('pods');
        const victim = pods.find(({metadata}) => metadata.name === `${region.name}-${resident}`);
        if (victim === undefined) throw new Error(`there is no ${resident}`);
        const node = nodeOf(victim);
        const there = pods.filter((pod) => pod.status?.['phase'] === 'Running' && nodeOf(pod) === node);
        let returnedAt = 0;
        await whileNode(node, trouble, async () => {
          await Promise.all([untilNode(node, 'Unknown'), pause(AWAY_MS)]);
          returnedAt = performance.now();
        });
        const readyMs = Math.round(performance.now() - returnedAt);
        await Promise.all(probes.map((probe) => probe.untilApplied(RECOVERY_MS)));
        const recoveredMs = Math.round(performance.now() - returnedAt);
        expect(recoveredMs).toBeLessThan(RECOVERY_MS);
        return `${node} gone with ${there.map(({metadata}) => metadata.name).join(', ')}; ready ${readyMs} ms after its return, new batches of both shards applied after ${recoveredMs} ms`;
      });
      expect(verdict).toMatchObject({ok: true, acked: 1600, applied: 1600, lost: 0, duplicated: 0});
    },
    400_000,
  );
});
