import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {parse} from 'yaml';
import {REGION_CHART, startHelm, type Helm} from './testing/helm.ts';

let helm: Helm;

beforeAll(async () => {
  helm = await startHelm();
});

afterAll(async () => {
  await helm.stop();
});

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

test.each([
  ['postgres.shard=1', "at '/postgres': additional properties 'shard' not allowed"],
  ['postgres.shards=0', "at '/postgres/shards'"],
  ['region=Not A Name', "at '/region'"],
])('refuses --set %s and says where it is', async (setting, message) => {
  const {ok, output} = await template('region=eu-west', setting);
  expect({ok, output}).toEqual({ok: false, output: expect.stringContaining(message)});
});
