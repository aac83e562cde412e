import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {TIERS} from '../../api/v1alpha1/spec.ts';
import {FULL_POD_TEMPLATE} from '../../api/v1alpha1/testing/pod-cases.ts';
import {systemClock} from '../../kube/clock.ts';
import {Discovery} from '../../kube/discovery.ts';
import {messageOf} from '../../kube/errors.ts';
import {uncovered} from '../../kube/fingerprint.ts';
import {keyOf, keyText, type KubeObject} from '../../kube/object.ts';
import {startApiServer, type TestApiServer} from '../../kube/testing/api-server.ts';
import {forever} from '../../kube/testing/fixtures.ts';
import {SimulatedRegion} from '../testing/simulated-region.ts';

/** Every child of regions that use what a spec offers, as a real API server judges it. */
let server: TestApiServer;
let discovery: Discovery;

beforeAll(async () => {
  server = await startApiServer();
  discovery = new Discovery(server.client, systemClock);
  const post = (path: string, body: object) => server.client.send({method: 'POST', path, body, signal: forever});
  const labels = {'pod-security.kubernetes.io/enforce': 'restricted'};
  await post('/api/v1/namespaces', {metadata: {name: 'sync', labels}});
  // No controllers run that would make it.
  await post('/api/v1/namespaces/sync/serviceaccounts', {metadata: {name: 'default'}});
  const {priorityClassName} = FULL_POD_TEMPLATE;
  await post('/apis/scheduling.k8s.io/v1/priorityclasses', {metadata: {name: priorityClassName}, value: 1});
}, 90_000);

afterAll(async () => {
  await server.stop();
}, 30_000);

const apply = async ({metadata, status: _, data, ...fields}: KubeObject): Promise<readonly string[]> => {
  const {name, namespace, labels, annotations} = metadata;
  // What is among the facts is the keeper's.
  const manifest = data === undefined || name === 'eu-facts' ? fields : {...fields, data};
  const object = {...manifest, metadata: {name, namespace, labels, annotations}};
  // A Job cannot be changed.
  const dryRun = manifest.kind === 'Job' ? {dryRun: 'All'} : {};
  try {
    const {body: answer} = await server.client.send({
      method: 'PATCH',
      path: await discovery.objectPath(keyOf({...manifest, metadata}), forever),
      query: {fieldManager: 'pisync-operator', force: 'true', fieldValidation: 'Strict', ...dryRun},
      contentType: 'application/apply-patch+yaml',
      body: object,
      signal: forever,
    });
    // What the server spells otherwise would be taken for the work of a webhook.
    return uncovered(answer, object).map((field) => `${keyText(keyOf({...manifest, metadata}))}: another ${field}`);
  } catch (error) {
    return [`${keyText(keyOf({...manifest, metadata}))}: ${messageOf(error)}`];
  }
};

/** A pod as the controller of a workload would make it. */
const tryPod = async ({kind, metadata: {name}, spec}: KubeObject): Promise<readonly string[]> => {
  // Of our own manifest: every workload has a template.
  const {template} = spec as {
    readonly template: {readonly metadata: object; readonly spec: {readonly volumes: object[]}};
  };
  const claim = {name: 'data', persistentVolumeClaim: {claimName: 'data'}};
  const volumes = kind === 'StatefulSet' ? [...template.spec.volumes, claim] : template.spec.volumes;
  const body = {metadata: {...template.metadata, name}, spec: {restartPolicy: 'Always', ...template.spec, volumes}};
  try {
    const query = {dryRun: 'All', fieldValidation: 'Strict'};
    await server.client.send({method: 'POST', path: '/api/v1/namespaces/sync/pods', query, body, signal: forever});
    return [];
  } catch (error) {
    return [`pod of ${name}: ${messageOf(error)}`];
  }
};

const ingress = {host: 'a.example.com', adminHost: 'b.example.com'};
const balanced = {serviceType: 'LoadBalancer', serviceAnnotations: {'service.beta.kubernetes.io/x': 'y'}};

const WORKLOADS = new Set(['StatefulSet', 'Deployment', 'Job']);

test.each([
  ['additions to all pods', {...Object.fromEntries(TIERS.map((tier) => [tier, {podTemplate: FULL_POD_TEMPLATE}]))}],
  ['users that the platform assigns, and load balancers', {common: {userIds: 'Platform'}, deviceApi: balanced}],
  // The ports that the server gave the Services go away with their type.
  ['none of it', {}],
])(
  'the API server takes the children of a region with %s, and their pods under Pod Security `restricted`',
  async (_what, spec) => {
    const region = new SimulatedRegion({region: 'eu-west', ingress, ...spec}).bringUp();
    const objects = [...region.objects.values()];
    const refusals: string[] = [];
    for (const object of objects) refusals.push(...(await apply(object)));
    for (const object of objects.filter(({kind}) => WORKLOADS.has(kind))) refusals.push(...(await tryPod(object)));
    expect(refusals).toEqual([]);
  },
);
