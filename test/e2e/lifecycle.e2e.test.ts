import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {MADE_KINDS} from './kit/children.ts';
import {helmInstall, operatorKubectl, operatorPods} from './kit/operator.ts';
import {restrictedNamespace} from './kit/kubectl.ts';
import {dropRegion, readyRegion, regionCalled, regionYaml, untilReady} from './kit/region.ts';
import {shardRows} from './kit/device.ts';
import {until} from './kit/until.ts';

const OWNED = 'app.kubernetes.io/managed-by=pisync-operator';

describe('a region and its operator', () => {
  const region = regionCalled('cycle');
  beforeAll(() => helmInstall(), 180_000);
  afterAll(() => dropRegion(region), 90_000);

  test('an operator killed again and again while it creates converges all the same', async () => {
    await restrictedNamespace(region.name);
    await region.kubectl.apply(regionYaml(region));
    for (const children of [1, 8, 16, 24]) {
      await until(
        `${children} children`,
        async () => {
          const found = await region.kubectl.list(MADE_KINDS.join(), OWNED);
          if (found.length < children) throw new Error(`${found.length} children`);
          return true;
        },
        {everyMs: 50},
      );
      for (const pod of await operatorPods())
        await operatorKubectl().run(['delete', 'pod', pod.metadata.name, '--grace-period=0', '--force']);
    }
    await untilReady(region, 240_000);
  }, 420_000);

  test('deleted and applied again under Retain it has the same data and the same passwords', async () => {
    const passwords = async (): Promise<readonly string[]> => [
      await region.kubectl.secret(`${region.name}-pg-0`, 'password'),
      await region.kubectl.secret(`${region.name}-pg-1`, 'password'),
      await region.kubectl.secret(`${region.name}-rabbitmq`, 'password'),
    ];
    await shardRows(region, 0, "insert into control.device_group (name) values ('kept')");
    const before = await passwords();
    await region.kubectl.ok(['delete', 'psr', region.name, '--timeout=60s'], undefined, 70_000);
    await until(
      'the pods to be gone',
      async () => {
        const pods = await region.kubectl.list('pods', OWNED);
        if (pods.length > 0) throw new Error(pods.map((pod) => pod.metadata.name).join());
        return true;
      },
      {timeoutMs: 120_000},
    );
    await region.kubectl.apply(regionYaml(region));
    await untilReady(region, 240_000);
    expect(await passwords()).toEqual(before);
    expect(await shardRows(region, 0, "select name from control.device_group where name = 'kept'")).toEqual(['kept']);
  }, 480_000);

  test('deleted under Delete nothing of it is left; what was told to stay a moment before stays, even of a suspended one', async () => {
    const gone = regionCalled('gone');
    const spec = {deletionPolicy: 'Delete', postgres: {shards: 1, storage: {size: '1Gi'}}};
    await readyRegion(gone.name, spec);
    const data = async (): Promise<readonly string[]> =>
      (await gone.kubectl.list('secrets,persistentvolumeclaims', 'app.kubernetes.io/part-of=pisync'))
        .filter(({metadata}) => metadata.deletionTimestamp === undefined)
        .map(({kind, metadata}) => `${kind} ${metadata.name} ${metadata.uid}`)
        .toSorted();
    const before = await data();
    const retain = JSON.stringify({spec: {suspend: true, deletionPolicy: 'Retain'}});
    await gone.kubectl.ok(['patch', 'psr', gone.name, '--type=merge', '-p', retain]);
    await gone.kubectl.ok(['delete', 'psr', gone.name, '--timeout=60s'], undefined, 70_000);
    await until(
      'the pods to be gone',
      async () => {
        const pods = await gone.kubectl.list('pods,statefulsets', OWNED);
        if (pods.length > 0) throw new Error(pods.map((pod) => pod.metadata.name).join());
        return true;
      },
      {timeoutMs: 120_000},
    );
    expect(await data()).toEqual(before);

    await readyRegion(gone.name, spec);
    expect(await data()).toEqual(before);
    await gone.kubectl.ok(['delete', 'psr', gone.name, '--timeout=60s'], undefined, 70_000);
    await until(
      'every child and every volume to be gone',
      async () => {
        const left = await gone.kubectl.list(
          [...MADE_KINDS, 'pods', 'persistentvolumeclaims'].join(),
          'app.kubernetes.io/part-of=pisync',
        );
        if (left.length > 0) throw new Error(left.map((object) => `${object.kind} ${object.metadata.name}`).join());
        return true;
      },
      {timeoutMs: 120_000},
    );
    await dropRegion(gone);
  }, 420_000);
});
