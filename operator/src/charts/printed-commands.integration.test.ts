import {afterAll, beforeAll, expect, test} from '@jest/globals';
import {type KubeObject} from '../kube/object.ts';
import {startApiServer, type TestApiServer} from '../kube/testing/api-server.ts';
import {forever} from '../kube/testing/fixtures.ts';
import {startHelm, type Helm} from './testing/helm.ts';
import {printed} from './testing/printed.ts';

let server: TestApiServer;
let helm: Helm;

beforeAll(async () => {
  server = await startApiServer();
  helm = await startHelm(server);
}, 90_000);

afterAll(async () => {
  await helm.stop();
  await server.stop();
}, 30_000);

const NAMESPACES = ['blue', 'green'];
const SOMEBODY = 'somebody';

const succeeds = async (script: string, as?: string): Promise<string> => {
  const {ok, output} = await helm.sh(script, as);
  if (!ok) throw new Error(`${script}\n${output}`);
  return output;
};

/**
 * What the role `admin` has by now. A controller adds up the ClusterRoles with these labels, and here is none; somebody who has each of them has the same.
 */
const makeAdmin = async (name: string): Promise<void> => {
  const {body} = await server.client.send({
    method: 'GET',
    path: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
    signal: forever,
  });
  const roles = (body as {readonly items: readonly KubeObject[]}).items.filter(({metadata: {labels}}) =>
    Object.keys(labels ?? {}).some((label) => label.startsWith('rbac.authorization.k8s.io/aggregate-to-')),
  );
  expect(roles.length).toBeGreaterThan(3);
  for (const namespace of NAMESPACES) {
    for (const {metadata} of roles) {
      await server.client.send({
        method: 'POST',
        path: `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`,
        body: {
          metadata: {generateName: 'admin-'},
          roleRef: {apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name},
          subjects: [{apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name}],
        },
        signal: forever,
      });
    }
  }
};

test('who administers two namespaces installs the operator there with the printed commands, tests it, and makes a region', async () => {
  const heading = '### By somebody who administers only some namespaces';
  const [prepared = '', installed = '', ...more] = await printed('operations/installing.md', heading, 'sh');
  expect(more).toEqual([]);
  for (const namespace of NAMESPACES) await succeeds(`kubectl create namespace ${namespace}`);
  await succeeds(prepared);
  await makeAdmin(SOMEBODY);

  await succeeds(installed, SOMEBODY);
  await succeeds('helm get hooks pisync --namespace blue | kubectl create -f -', SOMEBODY);
  for (const namespace of NAMESPACES) {
    await succeeds(
      `helm template eu charts/pisync-region --namespace ${namespace} --set region=${namespace} | kubectl create -f -`,
      SOMEBODY,
    );
  }

  // The operator has what it needs in both, and nothing beside them.
  const mayPatch = (namespace: string) =>
    helm.sh(
      `kubectl auth can-i patch pisyncregions --subresource=status -n ${namespace} --as=system:serviceaccount:blue:pisync-operator`,
    );
  for (const namespace of NAMESPACES) expect(await mayPatch(namespace)).toMatchObject({ok: true});
  expect(await mayPatch('default')).toMatchObject({ok: false});
}, 120_000);

test('the printed command waits until an operator has followed a change of deletionPolicy', async () => {
  const heading = '### `deletionPolicy` counts once it is followed';
  const [printedWait = ''] = await printed('runbook.md', heading, 'sh');
  const wait = printedWait.replace('--timeout=2m', '--timeout=2s');
  await succeeds('kubectl apply --server-side -f crds/pisync.io_pisyncregions.yaml');
  await succeeds('kubectl wait --for=condition=Established crd/pisyncregions.pisync.io');
  await succeeds('helm template eu charts/pisync-region --set region=eu | kubectl create -f -');
  const follow = (generation: number): Promise<string> =>
    succeeds(
      `kubectl patch psr eu --subresource=status --type=merge -p '{"status":{"observedGeneration":${generation}}}'`,
    );
  await follow(1);
  await succeeds(wait);
  await succeeds(`kubectl patch psr eu --type=merge -p '{"spec":{"deletionPolicy":"Delete"}}'`);
  expect(await helm.sh(wait)).toMatchObject({ok: false, output: expect.stringContaining('timed out')});
  await follow(2);
  await succeeds(wait);
}, 60_000);
