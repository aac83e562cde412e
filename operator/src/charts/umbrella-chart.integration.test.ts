import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {cp, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {parse, stringify} from 'yaml';
import {startApiServer, type TestApiServer} from '../kube/testing/api-server.ts';
import {IMAGES, OPERATOR_CHART, REGION_CHART, startHelm, type Helm} from './testing/helm.ts';

let server: TestApiServer;
let helm: Helm;
let umbrella: string;

/** Our charts, as a platform's own chart has them: each may be left out. */
beforeAll(async () => {
  server = await startApiServer();
  helm = await startHelm(server);
  umbrella = await mkdtemp(join(tmpdir(), 'pisync-umbrella-'));
  const charts = {pisync: OPERATOR_CHART, 'pisync-region': REGION_CHART};
  const dependencies = Object.keys(charts).map((name) => ({name, version: '*', condition: `${name}.enabled`}));
  await writeFile(
    join(umbrella, 'Chart.yaml'),
    stringify({apiVersion: 'v2', name: 'platform', version: '1.0.0', dependencies}),
  );
  for (const [name, chart] of Object.entries(charts))
    await cp(chart, join(umbrella, 'charts', name), {recursive: true});
}, 90_000);

afterAll(async () => {
  await helm.stop();
  await server.stop();
  await rm(umbrella, {recursive: true});
});

const run = (command: readonly string[], settings: readonly string[]) =>
  helm.run(...command, 'eu', umbrella, ...settings.flatMap((setting) => ['--set', setting]));

const template = (...settings: readonly string[]) => run(['template'], settings);

const SERVICE_IMAGES = IMAGES.at(-1)?.replaceAll('images.', 'pisync.images.') ?? '';

test('a chart that has ours as dependencies takes in the operator when it says so', async () => {
  const {ok, output} = await template('pisync.enabled=true', SERVICE_IMAGES, 'pisync-region.enabled=false');
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

test('one release with both is installed without a region and upgraded to have one', async () => {
  const both = ['pisync-region.enabled=true', 'pisync-region.region=eu-west'];
  const atOnce = await run(['install'], [SERVICE_IMAGES, ...both]);
  expect(atOnce).toMatchObject({ok: false, output: expect.stringContaining('no matches for kind "PiSyncRegion"')});
  expect(await run(['install'], [SERVICE_IMAGES, 'pisync-region.enabled=false'])).toMatchObject({ok: true});
  expect(await run(['upgrade'], [SERVICE_IMAGES, ...both])).toMatchObject({ok: true});
});
