import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {clusterFile} from './kit/files.ts';
import {helmInstall} from './kit/operator.ts';
import {dropRegion, readyRegion, untilReady, type Region} from './kit/region.ts';
import {watchStatus} from './kit/status-watch.ts';
import {until} from './kit/until.ts';
import {whileSyncing} from './kit/while-syncing.ts';

const MEBIBYTE = 2 ** 20;
const BEFORE = '1Gi';
const AFTER = '2Gi';

/** Size of the file system that a pod sees, in MiB: a little less than its volume, for the file system's own log. */
async function sizeSeenBy(region: Region, pod: string, path: string): Promise<number> {
  const text = await region.kubectl.ok(['exec', pod, '--', 'df', '--block-size=1', '--output=size', path]);
  return Number(text.trim().split('\n').at(-1)) / MEBIBYTE;
}

const patched = (region: Region, postgres: string, rabbitmq: string): Promise<string> =>
  region.kubectl.ok([
    'patch',
    'psr',
    region.name,
    '--type=merge',
    '--patch',
    JSON.stringify({spec: {postgres: {storage: {size: postgres}}, rabbitmq: {storage: {size: rabbitmq}}}}),
  ]);

const restartsOf = async (region: Region): Promise<readonly string[]> =>
  (await region.kubectl.list('pods', 'app.kubernetes.io/component in (postgres,rabbitmq)')).map(
    ({metadata}) => `${metadata.name} ${metadata.uid}`,
  );

describe('storage that is raised', () => {
  // kind has no class that grows, and of somebody else's cluster we do not know.
  const describeIfGrowing = clusterFile().kind === 'bare' ? describe : (): void => undefined;

  describeIfGrowing('where volumes grow', () => {
    let region: Region;
    beforeAll(async () => {
      await helmInstall();
      const storage = {size: BEFORE, className: 'growing'};
      region = await readyRegion('grown', {postgres: {storage}, rabbitmq: {storage}});
    }, 300_000);
    afterAll(() => dropRegion(region), 90_000);

    test('grows the volumes of shards and broker under what runs, and no call fails', async () => {
      const pods = ['grown-pg-0-0', 'grown-pg-1-0'].map((pod) => [pod, '/var/lib/postgresql/data'] as const);
      const volumes = [...pods, ['grown-rabbitmq-0', '/var/lib/rabbitmq'] as const];
      for (const [pod, path] of volumes) expect(await sizeSeenBy(region, pod, path)).toBeLessThan(1024);
      const shards = (await restartsOf(region)).filter((name) => name.includes('-pg-'));
      const watch = watchStatus(region);
      try {
        const {failedCalls} = await whileSyncing(region, async () => {
          await patched(region, AFTER, AFTER);
          for (const [pod, path] of volumes)
            await until(`${pod} to see more room`, async () => {
              const mebibytes = await sizeSeenBy(region, pod, path);
              if (mebibytes < 1900) throw new Error(`${mebibytes} MiB`);
              return true;
            });
          await untilReady(region);
        });
        expect(Object.keys(failedCalls).filter((error) => !/HTTP 503/.test(error))).toEqual([]);
        expect(watch.broken).toEqual([]);
      } finally {
        watch.stop();
        process.stdout.write(`    ${watch.story.join('\n    ')}\n`);
      }
      // A database takes its room as it is; the broker's limit is a part of it, so that it is started anew.
      expect((await restartsOf(region)).filter((name) => name.includes('-pg-'))).toEqual(shards);
    }, 300_000);
  });
});
