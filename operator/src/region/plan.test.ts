import {describe, expect, test} from '@jest/globals';
import fc from 'fast-check';
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {stringify} from 'yaml';
import {type KubeObject, recordOf} from '../kube/object.ts';
import {known} from './reading.ts';
import {NAMES, SimulatedRegion} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';

const MINIMAL = {region: 'eu-west', ingress: {host: 'eu.sync.example.com', adminHost: 'eu.admin.example.com'}};
const STATELESS = ['eu-device-api', 'eu-admin-api', 'eu-worker', 'eu-keeper'];

const expectLaws = (region: SimulatedRegion): void => {
  region.statuses.forEach(({status, generation}, index) => {
    const broken = brokenLaws(status, generation, region.statuses[index - 1]?.status);
    expect({broken, status: broken.length === 0 ? '' : status}).toEqual({broken: [], status: ''});
  });
};

const condition = (region: SimulatedRegion, type: string) =>
  region.status.conditions?.find((candidate) => candidate.type === type);

/** The status that a Gateway gives to a route. */
const answerOf = (gateway: string, status: 'True' | 'False') => ({
  parents: [
    {
      parentRef: {name: gateway},
      conditions: [
        {type: 'Accepted', status, reason: status === 'True' ? 'Accepted' : 'NotAllowed', message: 'said the Gateway'},
        {type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: ''},
      ],
    },
  ],
});

describe('a minimal region', () => {
  test('is these objects', async () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const documents = [...region.objects.values()].map(({apiVersion, kind, metadata, ...rest}: KubeObject) => {
      const {name, labels, annotations, ownerReferences} = metadata;
      const {status: _, ...content} = rest;
      const owned = ownerReferences === undefined ? 'nobody: it stays' : 'the region';
      return stringify(
        {apiVersion, kind, owner: owned, metadata: {name, labels, annotations}, ...content},
        {lineWidth: 0, aliasDuplicateObjects: false},
      );
    });
    const text = documents.join('---\n');
    const file = join(import.meta.dirname, 'testdata/minimal-region.yaml');
    // PISYNC_UPDATE_GOLDEN=1 writes it anew; the difference is then reviewed like any other change.
    if (process.env['PISYNC_UPDATE_GOLDEN'] === '1') await writeFile(file, text);
    expect(text).toBe(await readFile(file, 'utf8'));
  });

  test('comes up in order: data tiers, migrations, services', () => {
    const region = new SimulatedRegion(MINIMAL);
    region.pass();
    expect(region.names('StatefulSet')).toEqual([]);
    region.settle();
    expect(region.names('StatefulSet')).toEqual(['eu-pg-0', 'eu-pg-1', 'eu-rabbitmq']);
    expect(region.names('Job')).toEqual([]);
    expect(condition(region, 'DatabaseReady')).toMatchObject({status: 'False', message: '0/2 shards ready'});

    region.makeReady('StatefulSet');
    region.settle();
    expect(region.names('Job')).toEqual([NAMES.migration(0), NAMES.migration(1)]);
    expect(region.names('Deployment')).toEqual(['eu-redis']);

    region.makeReady('Deployment');
    region.completeJobs();
    region.settle();
    expect(region.names('Deployment').toSorted()).toEqual([...STATELESS, 'eu-redis'].toSorted());
    expect(region.status.phase).toBe('Provisioning');

    region.makeReady('Deployment');
    region.settle();
    expect(condition(region, 'Ready')).toMatchObject({status: 'True'});
    expect(region.status).toMatchObject({
      phase: 'Ready',
      readyShards: '2/2',
      version: {current: '1.2.3', target: '1.2.3'},
      endpoints: {device: 'http://eu.sync.example.com', admin: 'http://eu.admin.example.com'},
    });
    expect(region.status.pendingChanges).toBeUndefined();
    expectLaws(region);
  });

  test('tells the events of its life once', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.settle();
    expect(region.events.map(({reason}) => reason)).toEqual(['NoFailover', 'Ready']);
  });

  test('writes nothing when nothing changes', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const before = JSON.stringify(region.status);
    expect(region.pass()).toEqual([]);
    expect(JSON.stringify(region.status)).toBe(before);
  });
});

describe('while a region runs', () => {
  test('a shard that is down degrades it and touches no service', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.set('StatefulSet', 'eu-pg-1', {observedGeneration: 1_000, replicas: 1, readyReplicas: 0});
    expect(region.pass()).toEqual([]);
    expect(region.status).toMatchObject({phase: 'Degraded', readyShards: '1/2'});
    expect(region.names('Deployment')).toEqual(expect.arrayContaining(STATELESS));
    expectLaws(region);
  });

  test('a change of a setting restarts shards one after the other, and services wait', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({postgres: {parameters: {work_mem: '8MB'}}, workers: {logLevel: 'debug'}});
    // The ConfigMap first: what is in it decides what the pods of the next pass are.
    region.pass();
    region.set('StatefulSet', 'eu-pg-0', {observedGeneration: 1_000, replicas: 1, readyReplicas: 0});
    region.pass();
    const revision = (name: string) => region.find('StatefulSet', name)?.metadata.annotations?.['pisync.io/revision'];
    expect(region.status.pendingChanges).toEqual(
      expect.arrayContaining([
        {component: 'database', reason: 'waits until shard 0 has restarted'},
        {component: 'worker', reason: 'waits until shards, broker and cache are ready'},
      ]),
    );
    const waiting = revision('eu-pg-1');
    region.makeReady('StatefulSet');
    region.settle();
    expect(revision('eu-pg-1')).not.toBe(waiting);
    region.makeReady('StatefulSet');
    region.settle();
    expect(JSON.stringify(region.find('Deployment', 'eu-worker'))).toContain('"debug"');
    expectLaws(region);
  });

  test('more shards are made beside the old ones', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({postgres: {shards: 3}});
    region.settle();
    region.makeReady('StatefulSet');
    region.settle();
    expect(region.names('Job')).toContain(NAMES.migration(2));
    region.completeJobs();
    region.settle();
    region.makeReady('Deployment');
    region.settle();
    expect(region.status).toMatchObject({phase: 'Ready', readyShards: '3/3'});
    expectLaws(region);
  });

  test('fewer shards are refused and nothing is touched', () => {
    const region = new SimulatedRegion({...MINIMAL, postgres: {shards: 3}}).bringUp();
    region.change({postgres: {shards: 1}});
    expect(region.pass()).toEqual([]);
    expect(region.status.phase).toBe('Invalid');
    expect(condition(region, 'Stalled')).toMatchObject({status: 'True', reason: 'InvalidSpec'});
    expect(condition(region, 'Stalled')?.message).toContain('spec.postgres.shards');
    expectLaws(region);
    region.change({postgres: {shards: 3}});
    region.settle();
    expect(region.status.phase).toBe('Ready');
  });

  test('the limits of a spec outlive the region, with its data', () => {
    const region = new SimulatedRegion({...MINIMAL, postgres: {shards: 3}}).bringUp();
    const again = new SimulatedRegion(MINIMAL);
    for (const [key, object] of region.objects) if (object.kind === 'Secret') again.objects.set(key, object);
    expect(again.pass()).toEqual([]);
    expect(condition(again, 'Stalled')?.message).toContain('spec.postgres.shards');
    expect(condition(again, 'Stalled')?.message).toContain('was made with {"region":"eu-west","postgres":{"shards":3,');
  });

  test('an autoscaler that adds pods is no update', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const pods = {replicas: 2, readyReplicas: 2, updatedReplicas: 2, availableReplicas: 2};
    // Its controller has not looked at the new number yet; then the new pod starts.
    region.set('Deployment', 'eu-worker', {observedGeneration: 0, ...pods});
    region.pass();
    expect(region.status.phase).toBe('Ready');
    region.set('Deployment', 'eu-worker', {
      ...pods,
      observedGeneration: 1_000,
      replicas: 3,
      updatedReplicas: 3,
    });
    region.pass();
    expect(region.status).toMatchObject({phase: 'Ready', workers: {replicas: 3, ready: 2}});
    expect(region.events.map(({reason}) => reason)).toEqual(['NoFailover', 'Ready']);
    expectLaws(region);
  });

  test('a tier that was scaled to nothing gets its fewest pods, which an autoscaler alone would not give it', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const scaleTo = (replicas: number): unknown => {
      const found = region.find('Deployment', 'eu-device-api');
      if (found === undefined) throw new Error('no Deployment');
      const spec = {...recordOf(found['spec']), replicas};
      region.objects.set('apps/v1/Deployment/sync/eu-device-api', {...found, spec});
      region.settle();
      return recordOf(region.find('Deployment', 'eu-device-api')?.['spec'])['replicas'];
    };
    // One is below the floor as well, and the autoscaler's to raise.
    expect([0, 1, 9].map(scaleTo)).toEqual([2, 1, 9]);
  });

  test('a Deployment that was deleted comes back with its fewest pods, also where an autoscaler sets their number', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.objects.delete('apps/v1/Deployment/sync/eu-device-api');
    region.settle();
    expect(region.find('Deployment', 'eu-device-api')).toMatchObject({spec: {replicas: 2}});
  });

  test('an update is Updating, and Degraded while something is in its way, which it names', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({workers: {logLevel: 'debug'}});
    region.settle();
    const old = {observedGeneration: 1_001, replicas: 3, readyReplicas: 2, updatedReplicas: 1, availableReplicas: 2};
    region.set('Deployment', 'eu-worker', old);
    region.pass();
    expect(region.status).toMatchObject({phase: 'Updating', message: 'eu-worker is being updated'});
    const refused = {type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota'};
    region.set('Deployment', 'eu-worker', {...old, conditions: [refused]});
    region.pass();
    expect(region.status).toMatchObject({phase: 'Degraded', message: 'eu-worker is being updated: exceeded quota'});
    expect(condition(region, 'Ready')?.reason).toBe('FailedCreate');
    region.makeReady('Deployment');
    region.settle();
    expect(region.status.phase).toBe('Ready');
    expectLaws(region);
  });

  test('autoscaling that is switched off leaves no autoscaler', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    expect(region.names('HorizontalPodAutoscaler')).toEqual(['eu-worker', 'eu-device-api']);
    region.change({workers: {autoscaling: {enabled: false}}});
    region.settle();
    expect(region.names('HorizontalPodAutoscaler')).toEqual(['eu-device-api']);
  });

  test('a single replica has no disruption budget', () => {
    const region = new SimulatedRegion({...MINIMAL, adminApi: {replicas: 1}}).bringUp();
    expect(region.names('PodDisruptionBudget')).toEqual(['eu-worker', 'eu-device-api']);
  });

  test('a Gateway gets HTTPRoutes in place of Ingresses, which serve until it has accepted them', () => {
    const both = ['eu-device-api', 'eu-admin-api'];
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.gatewayApi = known(false);
    region.change({ingress: {...MINIMAL.ingress, gatewayRef: {name: 'gateway'}}});
    region.settle();
    expect([region.names('HTTPRoute'), region.names('Ingress')]).toEqual([[], both]);
    region.gatewayApi = known(true);
    region.settle();
    expect([region.names('HTTPRoute'), region.names('Ingress')]).toEqual([both, both]);
    expect(condition(region, 'RouteReady')).toMatchObject({status: 'Unknown', reason: 'NotAccepted'});

    region.set('HTTPRoute', 'eu-device-api', answerOf('gateway', 'True'));
    region.settle();
    expect(region.names('Ingress')).toEqual(['eu-admin-api']);
    expect(condition(region, 'RouteReady')).toMatchObject({status: 'Unknown', reason: 'NotAccepted'});
    region.set('HTTPRoute', 'eu-admin-api', answerOf('gateway', 'True'));
    region.settle();
    expect(region.names('Ingress')).toEqual([]);
    expect(condition(region, 'RouteReady')).toMatchObject({status: 'True', reason: 'Accepted'});
    expectLaws(region);
  });

  test('a Gateway that refuses a route keeps the region from being ready', () => {
    const region = new SimulatedRegion({...MINIMAL, ingress: {...MINIMAL.ingress, gatewayRef: {name: 'g'}}}).bringUp();
    for (const name of region.names('HTTPRoute')) region.set('HTTPRoute', name, answerOf('g', 'False'));
    region.settle();
    expect(condition(region, 'Ready')).toMatchObject({status: 'False', reason: 'NotAllowed'});
    // What another Gateway said of the route before does not count.
    for (const name of region.names('HTTPRoute')) region.set('HTTPRoute', name, answerOf('other', 'False'));
    region.settle();
    expect(condition(region, 'RouteReady')).toMatchObject({status: 'Unknown', reason: 'NotAccepted'});
    expectLaws(region);
  });

  test.each([
    ['its route is switched off', {...MINIMAL.ingress, enabled: false}],
    ['both its hosts are gone', {}],
  ])('no empty field is ever in its status, also when %s', (_what, ingress) => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({ingress});
    region.settle();
    expect(region.status.phase).toBe('Ready');
    expect(region.status).not.toHaveProperty('endpoints');
    expectLaws(region);
  });

  test('suspended it is left alone', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({suspend: true, workers: {logLevel: 'debug'}});
    expect(region.pass()).toEqual([]);
    expect(region.status.phase).toBe('Suspended');
    expectLaws(region);
  });

  test('deleted but held by a finalizer, it is not repaired any more and says so once', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.isDeleted = true;
    region.objects.delete('v1/Service/sync/eu-redis');
    expect(region.pass()).toEqual([]);
    region.pass();
    expect(region.status.phase).toBe('Deleting');
    expect(condition(region, 'Ready')).toMatchObject({status: 'False', reason: 'Deleting'});
    expect(region.events.map(({reason}) => reason)).toEqual(['NoFailover', 'Ready', 'Deleting']);
    expectLaws(region);
  });

  test.each([
    ['conflict', 'Conflict'],
    ['contested', 'Contested'],
    ['immutable', 'ImmutableField'],
    ['refused', 'Refused'],
  ] as const)('an object that ends in %s stalls it and the rest goes on', (failure, reason) => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.failures.set('Ingress/eu-admin-api', failure);
    region.change({workers: {logLevel: 'debug'}});
    region.settle();
    expect(condition(region, 'Stalled')).toMatchObject({status: 'True', reason});
    expect(JSON.stringify(region.find('Deployment', 'eu-worker'))).toContain('"debug"');
    expectLaws(region);
  });
});

test('no status ever breaks a law, whatever happens in whatever order', () => {
  const steps: Record<string, (region: SimulatedRegion) => void> = {
    pass: (region) => region.pass(),
    data: (region) => region.makeReady('StatefulSet'),
    pods: (region) => region.makeReady('Deployment'),
    fewerPods: (region) => region.makeReady('Deployment', 1),
    jobs: (region) => region.completeJobs(),
    crash: (region) => {
      for (const name of region.names('StatefulSet')) region.set('StatefulSet', name, {observedGeneration: 1_000});
    },
    scale: (region) => region.change({workers: {replicas: 3}}),
    log: (region) => region.change({deviceApi: {logLevel: 'debug'}}),
    suspend: (region) => region.change({suspend: true}),
    resume: (region) => region.change({suspend: false}),
    spoil: (region) => region.change({postgres: {shards: 1}}),
    mend: (region) => region.change({postgres: {shards: 2}}),
    stranger: (region) => region.failures.set('Service/eu-redis', 'conflict'),
    rival: (region) => region.failures.set('Deployment/eu-worker', 'contested'),
    outage: (region) => region.failures.set('Service/eu-redis', 'failed'),
    refuse: (region) => (region.facts = {checkedAt: '2026-03-01T12:01:00Z', shards: [], broker: {ok: false}}),
    silence: (region) => (region.factsAgeMs = 120_000),
    speech: (region) => (region.factsAgeMs = 0),
    noFacts: (region) => (region.facts = undefined),
    delete: (region) => (region.isDeleted = true),
    peace: (region) => region.failures.clear(),
  };
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...Object.keys(steps)), {maxLength: 40}), fc.boolean(), (sequence, up) => {
      const region = new SimulatedRegion(MINIMAL);
      if (up) region.bringUp();
      for (const step of sequence) steps[step]?.(region);
      expectLaws(region);
    }),
    {numRuns: 50},
  );
});
