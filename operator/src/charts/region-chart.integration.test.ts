import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {startApiServer, type TestApiServer} from '../kube/testing/api-server.ts';
import {REGION_CHART, startHelm, type Helm} from './testing/helm.ts';

let server: TestApiServer;
let helm: Helm;

beforeAll(async () => {
  server = await startApiServer();
  helm = await startHelm(server);
  await succeeds('kubectl apply --server-side -f crds/pisync.io_pisyncregions.yaml');
  await succeeds('kubectl wait --for=condition=Established crd/pisyncregions.pisync.io');
}, 90_000);

afterAll(async () => {
  await helm.stop();
  await server.stop();
}, 30_000);

const template = (...settings: readonly string[]) =>
  helm.run('template', 'eu', REGION_CHART, ...settings.flatMap((setting) => ['--set', setting]));

test('the name of the region must be said: it cannot be changed later', async () => {
  const {ok, output} = await template('postgres.shards=1');
  expect(ok).toBe(false);
  expect(output).toContain('region is missing: the public name of the region');
});

test('the object has what was said and nothing else', async () => {
  const {ok, output} = await template('region=eu-west', 'ingress.host=eu.example.com', 'objectLabels.team=sync');
  expect({ok, output}).toMatchObject({ok: true});
  expect(parse(output)).toEqual({
    apiVersion: 'pisync.io/v1alpha1',
    kind: 'PiSyncRegion',
    metadata: {
      name: 'eu',
      namespace: 'default',
      labels: {'app.kubernetes.io/managed-by': 'Helm', 'helm.sh/chart': 'pisync-region-0.1.0', team: 'sync'},
    },
    spec: {region: 'eu-west', ingress: {host: 'eu.example.com'}},
  });
});

test('labels of the chart are not written twice', async () => {
  const other = 'objectLabels.app\\.kubernetes\\.io/managed-by=somebody';
  const {ok, output} = await template('region=eu-west', other);
  expect({ok, output}).toMatchObject({ok: true});
  expect(parse(output)).toHaveProperty(['metadata', 'labels', 'app.kubernetes.io/managed-by'], 'Helm');
});

test('no labels may be said as null', async () => {
  expect(await template('region=eu-west', 'objectLabels=null')).toMatchObject({ok: true});
});

test.each([
  ['postgres.shard=1', "at '/postgres': additional properties 'shard' not allowed"],
  ['postgres.shards=0', "at '/postgres/shards'"],
  ['region=Not A Name', "at '/region'"],
])('refuses --set %s and says where it is', async (setting, message) => {
  const {ok, output} = await template('region=eu-west', setting);
  expect({ok, output}).toEqual({ok: false, output: expect.stringContaining(message)});
});

const succeeds = async (script: string): Promise<string> => {
  const {ok, output} = await helm.sh(script);
  if (!ok) throw new Error(`${script}\n${output}`);
  return output;
};

test('helm install --wait waits also for a region that no operator has looked at yet', async () => {
  const settings = [REGION_CHART, '--set', 'region=eu', '--wait', '--timeout'];
  expect(await helm.run('install', 'eu', ...settings, '3s')).toEqual({
    ok: false,
    output: expect.stringContaining('PiSyncRegion/default/eu not ready. status: InProgress'),
  });
  const ready = {type: 'Ready', status: 'True', reason: 'Ready', message: 'it works'};
  const status = {
    observedGeneration: 1,
    conditions: [{...ready, observedGeneration: 1, lastTransitionTime: '2026-03-01T12:00:00Z'}],
  };
  await succeeds(`kubectl patch psr eu --subresource=status --type=merge -p '${JSON.stringify({status})}'`);
  expect(await helm.run('upgrade', 'eu', ...settings, '30s')).toMatchObject({ok: true});
}, 60_000);

test('what a person has patched stays theirs in an upgrade and in a rollback, until a forced upgrade', async () => {
  const upgrade = (...more: readonly string[]) =>
    helm.run('upgrade', 'us', REGION_CHART, '--install', '--set', 'region=us-east', ...more);
  const level = (): Promise<string> => succeeds(`kubectl get psr us -o jsonpath='{.spec.deviceApi.logLevel}'`);
  expect(await upgrade()).toMatchObject({ok: true});
  await succeeds(`kubectl patch psr us --type=merge -p '{"spec":{"deviceApi":{"logLevel":"debug"}}}'`);
  const warn = ['--set', 'deviceApi.logLevel=warn'];
  expect(await upgrade(...warn)).toEqual({
    ok: false,
    output: expect.stringMatching(/conflict with "kubectl-patch".*\.spec\.deviceApi\.logLevel/s),
  });
  // The first revision says nothing about it.
  expect(await helm.run('rollback', 'us', '1')).toMatchObject({ok: true});
  expect(await level()).toBe('debug');
  expect(await upgrade(...warn, '--force-conflicts')).toMatchObject({ok: true});
  expect(await level()).toBe('warn');
  expect(await upgrade('--set', 'deviceApi.logLevel=error')).toMatchObject({ok: true});
  expect(await level()).toBe('error');
}, 60_000);
