import {describe, expect, test} from '@jest/globals';
import {z} from 'zod';
import {keyOf, keyText, recordOf} from '../kube/object.ts';
import {RELEASE, SimulatedRegion} from './testing/simulated-region.ts';

const MINIMAL = {region: 'eu-west', ingress: {host: 'eu.sync.example.com', adminHost: 'eu.admin.example.com'}};

const workloadSchema = z.object({
  metadata: z.object({annotations: z.record(z.string(), z.string()).default({})}),
  spec: z.object({
    strategy: z.object({type: z.string()}).optional(),
    persistentVolumeClaimRetentionPolicy: z.object({whenDeleted: z.string()}).optional(),
    template: z.object({
      metadata: z.object({labels: z.record(z.string(), z.string())}),
      spec: z.object({containers: z.array(z.object({image: z.string()}))}),
    }),
  }),
});

const workload = (region: SimulatedRegion, kind: string, name: string) => workloadSchema.parse(region.find(kind, name));

const DATA = [
  ['Deployment', 'eu-redis'],
  ['StatefulSet', 'eu-pg-0'],
  ['StatefulSet', 'eu-pg-1'],
  ['StatefulSet', 'eu-rabbitmq'],
] as const;
const SERVICES = ['eu-device-api', 'eu-admin-api', 'eu-worker', 'eu-keeper'].map(
  (name) => ['Deployment', name] as const,
);

/** Those whose pods come from `registry`. */
const from = (region: SimulatedRegion, registry: string): readonly string[] =>
  [...DATA, ...SERVICES].flatMap(([kind, name]) =>
    workload(region, kind, name).spec.template.spec.containers[0]?.image.startsWith(registry) === true ? [name] : [],
  );

const annotation = (region: SimulatedRegion, kind: string, name: string, key: string) =>
  workload(region, kind, name).metadata.annotations[`pisync.io/${key}`];

const down = (region: SimulatedRegion, kind: string, name: string): void => {
  const observedGeneration = region.find(kind, name)?.metadata.generation;
  region.set(kind, name, {observedGeneration, replicas: 1, readyReplicas: 0, updatedReplicas: 1, availableReplicas: 0});
};

describe('a change of what all data tiers take', () => {
  test('goes to one member at a time, and to the services last', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({images: {registry: 'mirror.example.com'}});
    const order: string[] = [];
    for (let round = 0; round < 8; round++) {
      region.settle();
      order.push(...from(region, 'mirror.example.com').filter((name) => !order.includes(name)), '/');
      region.makeReady('StatefulSet');
      region.completeJobs();
      region.makeReady('Deployment');
    }
    expect(order.join(' ')).toMatch(
      /^eu-redis \/ eu-pg-0 \/ eu-pg-1 \/ eu-rabbitmq \/( \/)* eu-device-api eu-admin-api eu-worker eu-keeper( \/)*$/,
    );
    expect(region.status.phase).toBe('Ready');
  });

  test('takes down what is missed least when it is wrong, and can be taken back', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({images: {registry: 'mirorr.example.com'}});
    region.settle();
    down(region, 'Deployment', 'eu-redis');
    region.settle();
    expect(from(region, 'mirorr.example.com')).toEqual(['eu-redis']);
    expect(region.status.pendingChanges).toContainEqual({
      component: 'database',
      reason: 'waits until the cache has restarted',
    });
    region.change({images: {}});
    region.settle();
    expect(from(region, 'mirorr.example.com')).toEqual([]);
  });

  test('waits while a shard is down, which itself may be changed', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    down(region, 'StatefulSet', 'eu-pg-1');
    region.change({images: {registry: 'mirror.example.com'}});
    region.settle();
    expect(from(region, 'mirror.example.com')).toEqual(['eu-pg-1']);
  });

  test('does not go to all at once because another change made their reports old', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({images: {registry: 'mirror.example.com'}, deletionPolicy: 'Delete'});
    region.settle();
    expect(from(region, 'mirror.example.com')).toEqual(['eu-redis']);
  });
});

const template = (region: SimulatedRegion, kind: string, name: string): string => {
  const spec = region.find(kind, name)?.['spec'];
  return JSON.stringify(typeof spec === 'object' && spec !== null && 'template' in spec ? spec.template : undefined);
};

describe('settings that the server does not take', () => {
  test.each([
    ['eu-redis', 'Deployment', 'eu-redis', {redis: {maxMemory: '96Mi'}}],
    ['eu-rabbitmq', 'StatefulSet', 'eu-rabbitmq', {rabbitmq: {resources: {limits: {memory: '2Gi'}}}}],
    ['eu-postgres', 'StatefulSet', 'eu-pg-0', {postgres: {parameters: {work_mem: '8MB'}}}],
    ['eu-topology', 'Deployment', 'eu-worker', {postgres: {shards: 3}}],
  ])('ConfigMap %s restarts %s %s when they are written, and not before', (settings, kind, name, change) => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const before = template(region, kind, name);
    region.failures.set(`ConfigMap/${settings}`, 'refused');
    region.change(change);
    const advance = (): void => {
      for (let round = 0; round < 6; round++) {
        region.settle();
        region.makeReady('StatefulSet');
        region.makeReady('Deployment');
        region.completeJobs();
      }
    };
    advance();
    expect(template(region, kind, name)).toBe(before);
    expect((region.status.pendingChanges ?? []).map(({reason}) => reason)).toContain(
      'waits until its settings are written',
    );
    region.failures.clear();
    advance();
    expect(template(region, kind, name)).not.toBe(before);
    expect(region.status.phase).toBe('Ready');
  });

  test('restart nothing when somebody changed them by hand', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const before = template(region, 'Deployment', 'eu-redis');
    for (const [key, object] of region.objects) {
      if (object.metadata.name === 'eu-redis' && object.kind === 'ConfigMap') {
        region.objects.set(key, {...object, data: {'redis.conf': 'port 1'}});
      }
    }
    region.settle();
    expect(template(region, 'Deployment', 'eu-redis')).toBe(before);
    expect(region.statuses.at(-2)?.status.phase).toBe('Ready');
  });
});

describe('while a shard is down', () => {
  const broken = (): SimulatedRegion => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    down(region, 'StatefulSet', 'eu-pg-1');
    region.settle();
    return region;
  };

  test('a Deployment that is deleted comes back, also in a region that serves and was never ready', () => {
    const region = new SimulatedRegion(MINIMAL);
    region.others = [{region: 'b/other', uid: 'other', age: '', hosts: [{host: MINIMAL.ingress.host}]}];
    region.bringUp();
    expect(region.status).toMatchObject({phase: 'Degraded', version: {current: RELEASE.version}});
    down(region, 'StatefulSet', 'eu-pg-1');
    region.objects.delete('apps/v1/Deployment/sync/eu-worker');
    region.settle();
    expect(region.names('Deployment')).toContain('eu-worker');
  });

  test('a Deployment that is deleted comes back', () => {
    const region = broken();
    for (const [, name] of SERVICES) region.objects.delete(`apps/v1/Deployment/sync/${name}`);
    region.settle();
    expect(SERVICES.filter(([kind, name]) => region.find(kind, name) === undefined)).toEqual([]);
  });

  test('another template of a service that works waits, its number of pods does not', () => {
    const region = broken();
    const before = annotation(region, 'Deployment', 'eu-admin-api', 'revision');
    region.change({adminApi: {logLevel: 'debug', replicas: 3}, common: {annotations: {team: 'fleet'}}});
    region.settle();
    expect(annotation(region, 'Deployment', 'eu-admin-api', 'revision')).toBe(before);
    expect(region.find('Deployment', 'eu-admin-api')).toMatchObject({
      metadata: {annotations: {team: 'fleet'}},
      spec: {replicas: 3},
    });
  });

  test('a service that does not get on with its last change may be changed again', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const good = annotation(region, 'Deployment', 'eu-worker', 'revision');
    region.change({workers: {logLevel: 'debug'}});
    region.settle();
    const observedGeneration = region.find('Deployment', 'eu-worker')?.metadata.generation;
    region.set('Deployment', 'eu-worker', {observedGeneration, replicas: 3, updatedReplicas: 1, availableReplicas: 2});
    down(region, 'StatefulSet', 'eu-pg-1');
    region.settle();
    region.change({workers: {}});
    region.settle();
    expect(annotation(region, 'Deployment', 'eu-worker', 'revision')).toBe(good);
  });
});

describe('what does not restart pods', () => {
  test('what becomes of volumes reaches a shard whose template waits', () => {
    const region = new SimulatedRegion({...MINIMAL, deletionPolicy: 'Delete'}).bringUp();
    down(region, 'StatefulSet', 'eu-pg-1');
    const before = annotation(region, 'StatefulSet', 'eu-pg-0', 'revision');
    region.change({deletionPolicy: 'Retain', postgres: {resources: {requests: {cpu: '1'}}}});
    region.settle();
    const {metadata, spec} = workload(region, 'StatefulSet', 'eu-pg-0');
    expect(metadata.annotations['pisync.io/revision']).toBe(before);
    expect(spec.persistentVolumeClaimRetentionPolicy?.whenDeleted).toBe('Retain');
  });

  test('another key in a Secret restarts nobody', () => {
    const region = new SimulatedRegion({region: 'eu-west'}).bringUp();
    for (const name of ['eu-pg-0', 'eu-rabbitmq', 'eu-redis']) {
      const secret = region.find('Secret', name);
      if (secret === undefined) throw new Error(`no Secret ${name}`);
      const data = {...(secret['data'] as object), note: Buffer.from('rotate in May').toString('base64')};
      region.objects.set(keyText(keyOf(secret)), {...secret, data});
    }
    expect(region.pass()).toEqual([]);
  });

  test.each([
    ['eu-bootstrap', 'admin-token'],
    ['eu-bootstrap', 'enrolment-token'],
    ['eu-signing', 'key'],
    ['eu-audit', 'key'],
  ])('another value in Secret %s, key %s, restarts nobody', (name, key) => {
    const region = new SimulatedRegion({region: 'eu-west'}).bringUp();
    const secret = region.find('Secret', name);
    if (secret === undefined) throw new Error(`no Secret ${name}`);
    const data = {...recordOf(secret['data']), [key]: Buffer.from('another').toString('base64')};
    expect(recordOf(secret['data'])[key]).not.toBe(data[key]);
    region.objects.set(keyText(keyOf(secret)), {...secret, data});
    expect(region.pass()).toEqual([]);
  });

  test.each([
    ['StatefulSet', 'eu-pg-0'],
    ['StatefulSet', 'eu-rabbitmq'],
    ['Deployment', 'eu-redis'],
    ['Deployment', 'eu-worker'],
  ])('our own labels on the pods of %s %s are put right, those of others stay', (kind, name) => {
    const region = new SimulatedRegion({region: 'eu-west'}).bringUp();
    const found = region.find(kind, name);
    if (found === undefined) throw new Error(`no ${kind} ${name}`);
    const {'pisync.io/region': _, ...labels} = workload(region, kind, name).spec.template.metadata.labels;
    const theirs = {...labels, 'app.kubernetes.io/managed-by': 'somebody', ...(kind === 'StatefulSet' && {team: 'x'})};
    const spec = structuredClone(found['spec']) as {template: {metadata: {labels: Record<string, string>}}};
    spec.template.metadata.labels = theirs;
    region.objects.set(keyText(keyOf(found)), {...found, spec});
    region.pass();
    expect(workload(region, kind, name).spec.template.metadata.labels).toMatchObject({
      'app.kubernetes.io/managed-by': 'pisync-operator',
      'pisync.io/region': 'eu-west',
      ...(kind === 'StatefulSet' && {team: 'x'}),
    });
  });

  test('labels of pods reach data tiers with the next template that is worth a restart', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const before = JSON.stringify(workload(region, 'StatefulSet', 'eu-pg-0').spec);
    region.change({common: {labels: {team: 'fleet'}, annotations: {note: 'x'}}});
    region.settle();
    expect(region.find('StatefulSet', 'eu-pg-0')).toMatchObject({metadata: {labels: {team: 'fleet'}}});
    expect(JSON.stringify(workload(region, 'StatefulSet', 'eu-pg-0').spec)).toBe(before);
    expect(workload(region, 'Deployment', 'eu-worker').spec.template.metadata.labels).toMatchObject({team: 'fleet'});
    region.makeReady('Deployment');
    region.change({postgres: {resources: {requests: {cpu: '1'}}}});
    region.settle();
    expect(workload(region, 'StatefulSet', 'eu-pg-0').spec.template.metadata.labels).toMatchObject({team: 'fleet'});
  });

  test('a changed operator is told from a changed spec', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const [revision, spec] = ['revision', 'spec-revision'].map((key) =>
      annotation(region, 'StatefulSet', 'eu-pg-0', key),
    );
    region.release = {...RELEASE, images: {...RELEASE.images, postgres: 'docker.io/library/postgres:18'}};
    region.settle();
    expect(annotation(region, 'StatefulSet', 'eu-pg-0', 'revision')).not.toBe(revision);
    expect(annotation(region, 'StatefulSet', 'eu-pg-0', 'spec-revision')).toBe(spec);
    region.change({images: {postgres: 'postgres:17'}});
    region.settle();
    expect(annotation(region, 'StatefulSet', 'eu-pg-0', 'spec-revision')).not.toBe(spec);
  });
});

test('a status that was not written does not make a rollout seen', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  const ready = region.status;
  region.change({workers: {logLevel: 'debug'}});
  region.pass();
  region.status = ready;
  region.pass();
  expect(region.status.phase).not.toBe('Ready');
  region.makeReady('Deployment');
  region.settle();
  expect(region.status.phase).toBe('Ready');
});

test('another keeper stands by before the acting one ends', () => {
  const region = new SimulatedRegion(MINIMAL).bringUp();
  expect(workload(region, 'Deployment', 'eu-keeper').spec.strategy?.type).toBe('RollingUpdate');
});
