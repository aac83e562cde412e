import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {setTimeout as sleep} from 'node:timers/promises';
import {ApiError, messageOf} from '../../kube/errors.ts';
import {startApiServer, type TestApiServer} from '../../kube/testing/api-server.ts';
import {customResourceDefinition} from './crd.ts';
import {API_VERSION, KIND, PLURAL} from './group.ts';
import {BAD_CHANGES, GOOD_CHANGES} from './testing/change-cases.ts';
import {BAD_PARAMETERS} from './testing/parameter-cases.ts';
import {BAD_PODS, GOOD_PODS} from './testing/pod-cases.ts';
import {BAD_SPECS, GOOD_SPECS} from './testing/spec-cases.ts';

const REGIONS = `/apis/${API_VERSION}/namespaces/default/${PLURAL}`;
const ESTABLISHED_WITHIN_MS = 20_000;

let server: TestApiServer;
let count = 0;

beforeAll(async () => {
  server = await startApiServer();
  await post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', customResourceDefinition());
  const deadline = performance.now() + ESTABLISHED_WITHIN_MS;
  for (;;) {
    try {
      await get(REGIONS);
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(100);
    }
  }
}, 90_000);

afterAll(async () => {
  await server.stop();
}, 30_000);

const signal = new AbortController().signal;
const get = async (path: string): Promise<unknown> => (await server.client.send({method: 'GET', path, signal})).body;

const post = async (path: string, body: unknown): Promise<unknown> =>
  (await server.client.send({method: 'POST', path, query: {fieldValidation: 'Strict'}, body, signal})).body;

const create = (spec: unknown, name = `region-${count++}`): Promise<unknown> =>
  post(REGIONS, {apiVersion: API_VERSION, kind: KIND, metadata: {name}, spec});

/** Replaces what a person wrote, as `kubectl apply` does with a changed file: fields that are gone get their defaults. */
const change = async (from: unknown, to: unknown, admitted = 0, volumes?: string): Promise<unknown> => {
  const name = `region-${count++}`;
  // A successful create answers the object.
  await create(from, name);
  const storage = volumes === undefined ? {} : {storage: volumes};
  const shards = Array.from({length: 4}, (_, id) => ({
    id,
    phase: 'Pending',
    admitted: id < admitted,
    ready: false,
    endpoint: 'x',
    ...storage,
    secretName: 'x',
  }));
  const answer = await server.client.send({
    method: 'PATCH',
    path: `${REGIONS}/${name}/status`,
    contentType: 'application/merge-patch+json',
    body: {status: {shards, brokerNodes: [{id: 0, ...storage}]}},
    signal,
  });
  // A successful patch answers the object.
  const made = answer.body as {readonly metadata: {readonly resourceVersion: string}};
  const {body} = await server.client.send({
    method: 'PUT',
    path: `${REGIONS}/${name}`,
    query: {fieldValidation: 'Strict'},
    body: {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: {name, resourceVersion: made.metadata.resourceVersion},
      spec: to,
    },
    signal,
  });
  return body;
};

const refusal = async (attempt: Promise<unknown>): Promise<string> => {
  try {
    const accepted = await attempt;
    return `accepted: ${JSON.stringify(accepted)}`;
  } catch (error) {
    if (error instanceof ApiError && [400, 422].includes(error.status)) return messageOf(error);
    throw error;
  }
};

describe('the API server', () => {
  test.each([...GOOD_SPECS, ...GOOD_PODS])('accepts %s', async (_what, spec) => {
    await expect(create(spec)).resolves.toMatchObject({kind: KIND});
  });

  test.each([...BAD_SPECS, ...BAD_PARAMETERS, ...BAD_PODS])(
    'refuses $what and names the field',
    async ({name, spec, path}) => {
      expect(await refusal(create(spec, name))).toContain(`${path}: `);
    },
  );

  test('refuses an unknown field and names it', async () => {
    expect(await refusal(create({region: 'eu-west', postgres: {shard: 2}}))).toContain(
      'unknown field "spec.postgres.shard"',
    );
  });

  test.each([
    'hostNetwork',
    'hostPID',
    'hostIPC',
    'serviceAccountName',
    'containers',
    'initContainers',
    'volumes[0].hostPath',
    'securityContext.privileged',
    'securityContext.capabilities',
  ])('has no field podTemplate.%s', async (path) => {
    const [field = '', item] = path.split(/[.[]/, 2);
    const template =
      item === undefined
        ? {[field]: true}
        : field === 'volumes'
          ? {volumes: [{name: 'a', mountPath: '/mnt/a', hostPath: {path: '/'}}]}
          : {[field]: {[item]: true}};
    expect(await refusal(create({region: 'eu-west', workers: {podTemplate: template}}))).toContain(
      `unknown field "spec.workers.podTemplate.${path}"`,
    );
  });

  test.each(GOOD_CHANGES)('lets $what through', async ({from, to, admitted, volumes}) => {
    await expect(change(from, to, admitted, volumes)).resolves.toMatchObject({kind: KIND});
  });

  test.each(BAD_CHANGES)('refuses $what and names the field', async ({from, to, admitted, volumes, path}) => {
    expect(await refusal(change(from, to, admitted, volumes))).toContain(`${path}: `);
  });

  test('fills in the defaults', async () => {
    await expect(create({region: 'eu-west'})).resolves.toMatchObject({
      spec: {
        deletionPolicy: 'Retain',
        postgres: {engine: 'Embedded', shards: 2, storage: {size: '10Gi'}},
        rabbitmq: {partitions: 8},
        workers: {replicas: 2, autoscaling: {enabled: true, maxReplicas: 16}},
      },
    });
  });

  test('scales the workers, within their bounds', async () => {
    await create({region: 'eu-west'}, 'scaled');
    const scale = (replicas: number): Promise<unknown> =>
      server.client.send({
        method: 'PATCH',
        path: `${REGIONS}/scaled/scale`,
        contentType: 'application/merge-patch+json',
        body: {spec: {replicas}},
        signal,
      });
    await scale(4);
    await expect(get(`${REGIONS}/scaled`)).resolves.toMatchObject({spec: {workers: {replicas: 4}}});
    expect(await refusal(scale(40))).toContain('spec.workers.replicas: ');
  });
});
