import {describe, expect, test} from '@jest/globals';
import {type KubeObject, recordOf} from '../kube/object.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';

const MINIMAL = {region: 'eu-west', ingress: {host: 'eu.sync.example.com', adminHost: 'eu.admin.example.com'}};

const condition = (region: SimulatedRegion, type: string) =>
  region.status.conditions?.find((candidate) => candidate.type === type);

const lawsOf = (region: SimulatedRegion) =>
  region.statuses.flatMap(({status, generation}, index) =>
    brokenLaws(status, generation, region.statuses[index - 1]?.status),
  );

describe('what a region works without', () => {
  test.each([
    ['a disruption budget that is refused', 'PodDisruptionBudget/eu-worker', 'refused'],
    ['a disruption budget of somebody else', 'PodDisruptionBudget/eu-worker', 'conflict'],
    ['an autoscaler that cannot be written', 'HorizontalPodAutoscaler/eu-worker', 'failed'],
  ] as const)('%s does not keep it from being ready, and is told once', (_what, object, failure) => {
    const region = new SimulatedRegion(MINIMAL);
    region.failures.set(object, failure);
    region.bringUp().pass();
    const [kind, name] = object.split('/');
    const said = {component: `${kind} ${name}`, reason: `${kind} ${name}: ${failure}`};
    expect(region.status).toMatchObject({phase: 'Ready', pendingChanges: [said]});
    expect(region.find('Deployment', 'eu-worker')).toMatchObject({spec: {replicas: 2}});
    expect(region.events.filter(({note}) => note === said.reason)).toHaveLength(1);
    region.failures.clear();
    region.settle();
    expect(region.status.pendingChanges).toBeUndefined();
    expect(lawsOf(region)).toEqual([]);
  });

  test('an autoscaler that is refused is what AutoscalingActive says', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.failures.set('HorizontalPodAutoscaler/eu-worker', 'refused');
    region.pass();
    expect(condition(region, 'AutoscalingActive')).toMatchObject({
      status: 'False',
      reason: 'Refused',
      message: 'HorizontalPodAutoscaler eu-worker: refused',
    });
  });

  test('is no policy that keeps others out', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.failures.set('NetworkPolicy/eu-postgres', 'refused');
    region.pass();
    expect(condition(region, 'Stalled')).toMatchObject({status: 'True', reason: 'Refused'});
  });
});

describe('what an admission webhook makes something else of', () => {
  /** Of the object that is named, the field at the path is another. */
  const replacing =
    (kind: string, name: string, field: string, value: unknown) =>
    (sent: KubeObject): KubeObject =>
      sent.kind === kind && sent.metadata.name === name
        ? {...sent, [field]: {...recordOf(sent[field]), ...recordOf(value)}}
        : sent;
  const untouched = (sent: KubeObject): KubeObject => sent;

  test('is told once, and does not keep a region that works from being ready', () => {
    const region = new SimulatedRegion(MINIMAL);
    region.webhook = replacing('NetworkPolicy', 'eu-postgres', 'spec', {ingress: []});
    region.bringUp().pass();
    const said = {component: 'NetworkPolicy eu-postgres', reason: 'NetworkPolicy eu-postgres: spec.ingress'};
    expect(region.status).toMatchObject({phase: 'Ready', pendingChanges: [said]});
    expect(region.events.filter(({reason}) => reason === 'Rewritten')).toEqual([
      {type: 'Warning', reason: 'Rewritten', note: said.reason},
    ]);
    region.webhook = untouched;
    region.settle();
    expect(region.status.pendingChanges).toBeUndefined();
    expect(lawsOf(region)).toEqual([]);
  });

  test('keeps no region that has grown from being ready: its first migration is over', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change({postgres: {shards: 3}});
    region.bringUp();
    expect(region.status).toMatchObject({phase: 'Ready', readyShards: '3/3'});
    region.webhook = replacing('ConfigMap', 'eu-topology', 'data', {'topology.json': '{}'});
    region.pass();
    region.pass();
    expect(region.status.phase).toBe('Ready');
  });

  const settings = replacing('ConfigMap', 'eu-postgres', 'data', {'postgresql.conf': '# mine'});

  test('is why a new region does not come up, when it waits for that', () => {
    const region = new SimulatedRegion(MINIMAL);
    region.webhook = settings;
    region.settle();
    expect(region.names('StatefulSet')).not.toContain('eu-pg-0');
    expect(condition(region, 'Stalled')).toMatchObject({
      status: 'True',
      reason: 'Rewritten',
      message: 'ConfigMap eu-postgres: data.postgresql.conf',
    });
    region.webhook = untouched;
    region.bringUp();
    expect(region.status.phase).toBe('Ready');
    expect(lawsOf(region)).toEqual([]);
  });

  test('is why a change does not get on, when it waits for that', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.webhook = settings;
    region.change({postgres: {parameters: {work_mem: '8MB'}}});
    region.settle();
    expect(condition(region, 'Stalled')).toMatchObject({status: 'True', reason: 'Rewritten'});
    region.change({postgres: {parameters: {}}});
    region.webhook = untouched;
    region.settle();
    expect(region.status.phase).toBe('Ready');
    expect(lawsOf(region)).toEqual([]);
  });
});
