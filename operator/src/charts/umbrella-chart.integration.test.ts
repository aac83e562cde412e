import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {cp, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {parse, stringify} from 'yaml';
import {IMAGES, OPERATOR_CHART, REGION_CHART, startHelm, type Helm} from './testing/helm.ts';

let helm: Helm;
let umbrella: string;

/** Our charts, as a platform's own chart has them: each may be left out. */
beforeAll(async () => {
  helm = await startHelm();
  umbrella = await mkdtemp(join(tmpdir(), 'pisync-umbrella-'));
  const charts = {pisync: OPERATOR_CHART, 'pisync-region': REGION_CHART};
  const dependencies = Object.keys(charts).map((name) => ({name, version: '*', condition: `${name}.enabled`}));
  await writeFile(
    join(umbrella, 'Chart.yaml'),
    stringify({apiVersion: 'v2', name: 'platform', version: '1.0.0', dependencies}),
  );
  for (const [name, chart] of Object.entries(charts))
    await cp(chart, join(umbrella, 'charts', name), {recursive: true});
});

afterAll(async () => {
  await helm.stop();
  await rm(umbrella, {recursive: true});
});

const template = (...settings: readonly string[]) =>
  helm.run('template', 'eu', umbrella, ...settings.flatMap((setting) => ['--set', setting]));

test('a chart that has ours as dependencies takes in the operator when it says so', async () => {
  const images = IMAGES.at(-1)?.replaceAll('images.', 'pisync.images.') ?? '';
  const {ok, output} = await template('pisync.enabled=true', images, 'pisync-region.enabled=false');
  expect({ok, output}).toEqual({ok: true, output: expect.stringContaining('kind: Deployment')});
  expect(output).not.toContain('\nkind: PiSyncRegion\n');
});

test('and a region, in whose spec nothing is seen of it', async () => {
  const {ok, output} = await template(
    'pisync.enabled=false',
    'pisync-region.enabled=true',
    'pisync-region.region=eu-west',
  );
  expect({ok, output}).toMatchObject({ok: true});
  expect(parse(output)).toMatchObject({kind: 'PiSyncRegion', spec: {region: 'eu-west'}});
  expect(parse(output)).not.toHaveProperty('spec.enabled');
});
