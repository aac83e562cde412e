/**
 * `helm test`: an operator of this release works, and the API server has the definition of regions with its rules. Runs in a pod with the operator's image
 * and an account of its own; what it makes are dry runs.
 */
import {readFile} from 'node:fs/promises';
import {setTimeout as sleep} from 'node:timers/promises';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const {
  KUBERNETES_SERVICE_HOST: host = '',
  KUBERNETES_SERVICE_PORT: port = '443',
  PISYNC_NAMESPACE: namespace = '',
  PISYNC_OPERATOR: operator = '',
  PISYNC_TOKEN_FILE: tokenFile = `${ACCOUNT}/token`,
  // A pod that was just made needs its image, and an election takes up to 15 s.
  PISYNC_WITHIN_MS: withinMs = '60000',
} = process.env;
const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
const token = (await readFile(tokenFile, 'utf8')).trim();

const call = async (method, path, body) => {
  const response = await fetch(`${server}${path}`, {
    method,
    headers: {authorization: `Bearer ${token}`, 'content-type': 'application/json'},
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  return {status: response.status, answer: await response.json()};
};

const readyOperator = async () => {
  const {status, answer} = await call('GET', `/apis/apps/v1/namespaces/${namespace}/deployments/${operator}`);
  if (status !== 200) return answer.message;
  const {observedGeneration = 0, replicas = 0, updatedReplicas = 0, readyReplicas = 0} = answer.status ?? {};
  const wanted = answer.spec.replicas;
  if (wanted === 0) return `deployment ${operator} is scaled to 0`;
  if (observedGeneration < answer.metadata.generation)
    return `deployment ${operator} has not been looked at since its last change`;
  // Of pods of the release before, a ready one says nothing about this release.
  return replicas === wanted && updatedReplicas === wanted && readyReplicas === wanted
    ? undefined
    : `deployment ${operator} wants ${wanted} pods and has ${replicas}: ${updatedReplicas} are of this release, ${readyReplicas} are ready`;
};

const readLease = () => call('GET', `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${operator}`);

/** A name in the lease may be that of a pod that is long gone: who leads renews it every two seconds. */
const leadingOperator = async () => {
  const {status, answer: first} = await readLease();
  if (status !== 200) return first.message;
  const holder = first.spec?.holderIdentity ?? '';
  if (holder === '') return 'no operator holds the lease';
  for (let look = 0; look < 10; look++) {
    await sleep(500);
    const {answer} = await readLease();
    if (answer.spec?.holderIdentity === holder && answer.metadata.resourceVersion !== first.metadata.resourceVersion)
      return undefined;
  }
  return `${holder} holds the lease and has not renewed it for 5 s`;
};

const tryRegion = (spec) =>
  call('POST', `/apis/pisync.io/v1alpha1/namespaces/${namespace}/pisyncregions?dryRun=All&fieldValidation=Strict`, {
    apiVersion: 'pisync.io/v1alpha1',
    kind: 'PiSyncRegion',
    metadata: {name: 'helm-test'},
    spec,
  });

const admittedRegion = async () => {
  const {status, answer} = await tryRegion({
    region: 'helm-test',
    ingress: {host: 'device.example.com', adminHost: 'admin.example.com'},
  });
  return status === 201 ? undefined : `a good region is refused: ${answer.message}`;
};

const refusedRegion = async () => {
  const {status, answer} = await tryRegion({region: 'Not A Name'});
  if (status === 422) return undefined;
  return status === 201 ? 'a region with a bad name is admitted' : answer.message;
};

/** Each until it answers nothing, or until the time is over. */
const CHECKS = {
  'an operator is ready': readyOperator,
  'an operator leads': leadingOperator,
  'a good region is admitted': admittedRegion,
  'a bad region is refused': refusedRegion,
};

const deadline = Date.now() + Number(withinMs);
for (const [name, check] of Object.entries(CHECKS)) {
  for (;;) {
    const problem = await check().catch((error) => `${error.message}: ${error.cause?.message ?? ''}`);
    if (problem === undefined) break;
    if (Date.now() > deadline) {
      console.error(`not true that ${name}: ${problem}`);
      process.exit(1);
    }
    await sleep(500);
  }
  console.log(`ok: ${name}`);
}
