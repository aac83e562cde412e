import {beforeAll, describe, expect, test} from '@jest/globals';
import {helmInstall} from './kit/operator.ts';
import {restrictedNamespace, type Kubectl} from './kit/kubectl.ts';
import {regionCalled, regionYaml, type SpecPatch} from './kit/region.ts';

describe('a bad region is refused at admission with the path of the field', () => {
  let kubectl: Kubectl;
  beforeAll(async () => {
    await helmInstall();
    kubectl = await restrictedNamespace('refused');
  }, 180_000);

  const refuses = async (name: string, patch: SpecPatch, path: RegExp): Promise<void> => {
    const region = {...regionCalled('refused'), name};
    const yaml = regionYaml(region, patch).replace(`namespace: ${name}`, 'namespace: refused');
    const finished = await kubectl.run(['apply', '-f', '-'], yaml);
    expect({code: finished.code, stderr: finished.stderr}).toEqual({code: 1, stderr: expect.stringMatching(path)});
    expect(await kubectl.get('psr', name)).toBeUndefined();
  };

  test.each<[string, SpecPatch, RegExp]>([
    ['no shards', {postgres: {shards: 0}}, /spec\.postgres\.shards/],
    ['more shards than slots can be spread over', {postgres: {shards: 65}}, /spec\.postgres\.shards/],
    ['min > max', {workers: {autoscaling: {minReplicas: 5, maxReplicas: 2}}}, /spec\.workers\.autoscaling/],
    ['an unknown field', {postgres: {shard: 2}}, /unknown field "spec\.postgres\.shard"/],
    ['a wrong type', {workers: {replicas: 'two'}}, /spec\.workers\.replicas/],
    ['a region that is no DNS label', {region: 'EU West!'}, /spec\.region/],
    [
      'a class and a gateway at once',
      {
        ingress: {
          host: 'a.example.com',
          adminHost: 'b.example.com',
          className: 'contour',
          gatewayRef: {name: 'pisync', namespace: 'projectcontour'},
        },
      },
      /spec\.ingress/,
    ],
    ['no host', {ingress: {adminHost: 'b.example.com'}}, /spec\.ingress\.host/],
  ])('%s', (_what, patch, path) => refuses('bad', patch, path), 30_000);

  test(
    'a name of 60 characters',
    () =>
      refuses(
        'a'.repeat(60),
        {region: 'refused', ingress: {host: 'a.example.com', adminHost: 'b.example.com'}},
        /metadata\.name/,
      ),
    30_000,
  );

  test('what may not change once it is set, says so', async () => {
    const region = {...regionCalled('refused'), name: 'fixed'};
    const at = (patch: SpecPatch): string =>
      regionYaml(region, {suspend: true, ...patch}).replace('namespace: fixed', 'namespace: refused');
    await kubectl.apply(at({}));
    for (const [patch, path] of [
      [{region: 'elsewhere'}, /spec\.region/],
      [{postgres: {storage: {size: '1Gi', className: 'another'}}}, /spec\.postgres\.storage/],
      [{rabbitmq: {partitions: 4, storage: {size: '1Gi'}}}, /spec\.rabbitmq\.partitions/],
    ] as const) {
      const finished = await kubectl.run(['apply', '-f', '-'], at(patch));
      expect({patch, code: finished.code, stderr: finished.stderr}).toEqual({
        patch,
        code: 1,
        stderr: expect.stringMatching(path),
      });
    }
    await kubectl.ok(['delete', 'psr', 'fixed', '--timeout=30s']);
  }, 60_000);
});
