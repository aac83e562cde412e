import {expect} from '@jest/globals';
import {childrenOf, differences, unsettled} from '../kit/children.ts';
import {certificateSecret} from '../kit/certificate.ts';
import {type KubeObject} from '../kit/kubectl.ts';
import {condition, untilReady, type Region} from '../kit/region.ts';
import {watchStatus, type StatusWatch} from '../kit/status-watch.ts';
import {until} from '../kit/until.ts';
import {whileSyncing} from '../kit/while-syncing.ts';
import {GIVEN, type Walk} from './walks.ts';

const SETTLED_MS = 240_000;

/** What walks refer to: a Secret, a ConfigMap, a certificate and a PriorityClass. */
export async function makeGivens(region: Region): Promise<void> {
  const {kubectl, host} = region;
  await kubectl.apply(
    [
      {apiVersion: 'v1', kind: 'Secret', metadata: {name: GIVEN}, stringData: {word: 'secret'}},
      {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: GIVEN}, data: {word: 'open'}},
      {apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: {name: GIVEN}, value: 1000},
    ]
      .map((object) => JSON.stringify(object))
      .join('\n---\n'),
  );
  await certificateSecret(region, `${GIVEN}-tls`, [host, region.adminHost]);
}

export const removeGivens = async ({kubectl}: Region): Promise<void> => {
  await kubectl.run(['delete', 'priorityclass', GIVEN, '--ignore-not-found']);
};

const generationOf = async ({kubectl, name}: Region): Promise<number> =>
  (await kubectl.get('psr', name))?.metadata.generation ?? 0;

/** The region with its spec as it was written first: what a person applies who takes a change back. */
export const takeBack = ({kubectl, name}: Region, spec: unknown): Promise<string> =>
  kubectl.ok([
    'patch',
    'psr',
    name,
    '--type=json',
    '--patch',
    JSON.stringify([{op: 'replace', path: '/spec', value: spec}]),
  ]);

const untilBecomes = (region: Region, becomes: Walk['becomes']): Promise<KubeObject> =>
  becomes === 'ready'
    ? untilReady(region, SETTLED_MS)
    : until(
        `region ${region.name} to be ${becomes}`,
        async () => {
          const object = await region.kubectl.get('psr', region.name);
          const ready = object === undefined ? undefined : condition(object, 'Ready');
          const told = becomes === 'stuck' ? 'ImagePullBackOff' : 'Suspended';
          if (ready?.reason !== told) throw new Error(JSON.stringify(ready));
          return object;
        },
        {timeoutMs: SETTLED_MS},
      );

/** A region is Ready while its former route still stays beside the new one. */
const untilNothingWaits = ({kubectl, name}: Region): Promise<boolean> =>
  until(`nothing of region ${name} to wait`, async () => {
    const waiting = (await kubectl.get('psr', name))?.status?.['pendingChanges'];
    if (waiting !== undefined) throw new Error(JSON.stringify(waiting));
    return true;
  });

/** Changes the region, waits, takes the change back, waits: while devices sync, with every status looked at. */
export async function walk(region: Region, {name, patch, becomes, announced, reaches}: Walk): Promise<void> {
  const {kubectl} = region;
  const ready = await untilReady(region, SETTLED_MS);
  const before = await childrenOf(region);
  const watch = watchStatus(region);
  try {
    const {failedCalls} = await whileSyncing(region, async () => {
      await kubectl.ok(['patch', 'psr', region.name, '--type=merge', '--patch', JSON.stringify({spec: patch})]);
      await watch.observed(await generationOf(region));
      await untilBecomes(region, becomes);
      if (becomes === 'ready') expect(await unsettled(region)).toEqual([]);
      const changes = differences(before, await childrenOf(region));
      if (reaches.length === 0) expect(changes).toEqual([]);
      for (const child of reaches) {
        const name = child.replace('/', `/${region.name}-`);
        expect(changes).toContainEqual(expect.stringContaining(`${name} `));
      }
      await takeBack(region, ready.spec);
      await watch.observed(await generationOf(region));
      await untilReady(region, SETTLED_MS);
      await untilNothingWaits(region);
      expect(await unsettled(region)).toEqual([]);
      expect(differences(before, await childrenOf(region))).toEqual([]);
    });
    const unannounced = Object.keys(failedCalls).filter((error) => announced === undefined || !announced.test(error));
    expect({name, unannounced, failedCalls}).toEqual({name, unannounced: [], failedCalls});
    expect(watch.broken).toEqual([]);
  } finally {
    watch.stop();
    tell(name, watch);
    // One that failed on its way is not the next one's fault.
    await takeBack(region, ready.spec);
  }
}

const tell = (name: string, {story}: StatusWatch): void => {
  process.stdout.write(`    ${name}:\n${story.map((line) => `      ${line.slice(0, 200)}\n`).join('')}`);
};
