import {beforeAll, describe, expect, test} from '@jest/globals';
import {join} from 'node:path';
import {ROOT} from './kit/files.ts';
import {kubectlIn, type KubeObject} from './kit/kubectl.ts';
import {
  helmInstall,
  OPERATOR_NAMESPACE,
  operatorDeployment,
  operatorKubectl,
  operatorPods,
  RELEASE,
} from './kit/operator.ts';
import {dropRegion, readyRegion, untilReady, type Region} from './kit/region.ts';
import {runOk} from './kit/run.ts';
import {until} from './kit/until.ts';

describe('helm', () => {
  let region: Region;
  beforeAll(async () => {
    await helmInstall();
    region = await readyRegion('charted', {postgres: {shards: 1, storage: {size: '1Gi'}}});
  }, 300_000);

  const podUids = async (): Promise<readonly string[]> =>
    (await region.kubectl.list('pods', 'app.kubernetes.io/part-of=pisync'))
      .filter((pod: KubeObject) => pod.status?.['phase'] === 'Running')
      .map((pod) => pod.metadata.uid)
      .sort();

  test('lints both charts', async () => {
    for (const chart of ['pisync', 'pisync-region'])
      await runOk(['helm', 'lint', '--strict', join(ROOT, 'charts', chart)]);
  }, 30_000);

  test('helm test passes, and leaves no account behind', async () => {
    await runOk(['helm', 'test', RELEASE, '-n', OPERATOR_NAMESPACE, '--timeout', '120s'], {timeoutMs: 150_000});
    const accounts = await operatorKubectl().list('serviceaccounts', 'app.kubernetes.io/name=pisync-operator-test');
    expect(accounts).toEqual([]);
  }, 180_000);

  test.each([
    ['view', 'get', 'yes'],
    ['view', 'patch', 'no'],
    ['edit', 'patch', 'yes'],
    ['edit', 'create', 'yes'],
    ['admin', 'delete', 'yes'],
  ])(
    'who has the role %s in a namespace: may they %s regions? %s',
    async (role, verb, answer) => {
      const {kubectl} = region;
      const person = `somebody-${role}`;
      const bound = (await kubectl.list('rolebindings')).some(({metadata}) => metadata.name === person);
      if (!bound) await kubectl.ok(['create', 'rolebinding', person, `--clusterrole=${role}`, `--user=${person}`]);
      // The controller manager adds our rules to the role, and the authorizer hears of it, within moments.
      await until(`${role} may ${verb}: ${answer}`, async () => {
        const {stdout} = await kubectl.run(['auth', 'can-i', verb, 'pisyncregions.pisync.io', `--as=${person}`]);
        return stdout.trim() === answer ? true : undefined;
      });
    },
    60_000,
  );

  test('an upgrade of the operator restarts nothing of a region', async () => {
    const before = await podUids();
    const [old] = await operatorPods();
    await helmInstall(['--set', 'logLevel=debug']);
    await until('a new operator pod', async () => {
      const [pod] = await operatorPods();
      return pod !== undefined && pod.metadata.uid !== old?.metadata.uid ? true : undefined;
    });
    await untilReady(region);
    expect(await podUids()).toEqual(before);
    await runOk(['helm', 'rollback', RELEASE, '-n', OPERATOR_NAMESPACE, '--wait', '--timeout', '60s'], {
      timeoutMs: 90_000,
    });
    expect(await operatorDeployment()).toBeTruthy();
    expect(await podUids()).toEqual(before);
  }, 240_000);

  test('an uninstall leaves regions, their data and the CRD; the next install takes them up again', async () => {
    const before = await podUids();
    await runOk(['helm', 'uninstall', RELEASE, '-n', OPERATOR_NAMESPACE, '--wait', '--timeout', '60s'], {
      timeoutMs: 90_000,
    });
    expect(await kubectlIn('default').get('crd', 'pisyncregions.pisync.io')).toBeDefined();
    expect(await podUids()).toEqual(before);
    await helmInstall();
    await untilReady(region);
    expect(await podUids()).toEqual(before);
  }, 240_000);

  test('a region from the region chart becomes Ready', async () => {
    await dropRegion(region);
    const kubectl = kubectlIn('values');
    await runOk(
      [
        'helm',
        'upgrade',
        '--install',
        'values',
        join(ROOT, 'charts/pisync-region'),
        '-n',
        'values',
        '--create-namespace',
        '--set',
        'region=values',
        '--set',
        'ingress.host=values.sync.example.com',
        '--set',
        'ingress.adminHost=values.admin.example.com',
        '--set',
        'postgres.shards=1',
      ],
      {timeoutMs: 60_000},
    );
    const [made] = await until('the region object', async () => {
      const regions = await kubectl.list('psr');
      return regions.length === 1 ? regions : undefined;
    });
    if (made === undefined) throw new Error('the region chart made no region');
    const fromChart = {
      name: made.metadata.name,
      kubectl,
      host: 'values.sync.example.com',
      adminHost: 'values.admin.example.com',
    };
    await untilReady(fromChart, 240_000);
    await runOk(['helm', 'uninstall', 'values', '-n', 'values', '--wait', '--timeout', '60s'], {timeoutMs: 90_000});
    await kubectlIn('default').run(['delete', 'namespace', 'values', '--wait=false']);
  }, 420_000);
});
