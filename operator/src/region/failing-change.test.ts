import {describe, expect, test} from '@jest/globals';
import {keyOf, keyText, recordOf} from '../kube/object.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

const MINIMAL = {region: 'eu-west', ingress: {host: 'eu.sync.example.com', adminHost: 'eu.admin.example.com'}};

const DATA = [
  ['Deployment', 'eu-redis'],
  ['StatefulSet', 'eu-pg-0'],
  ['StatefulSet', 'eu-pg-1'],
  ['StatefulSet', 'eu-rabbitmq'],
] as const;

const templates = (region: SimulatedRegion): readonly string[] =>
  DATA.map(([kind, name]) => JSON.stringify(recordOf(region.find(kind, name)?.['spec'])['template']));

/** Those whose pods have an image of that registry. */
const from = (region: SimulatedRegion, registry: string) =>
  templates(region).flatMap((text, i) => (text.includes(`"image":"${registry}`) ? [DATA[i]?.[1]] : []));

const down = (region: SimulatedRegion, kind: string, name: string): void => {
  const observedGeneration = region.find(kind, name)?.metadata.generation;
  region.set(kind, name, {observedGeneration, replicas: 1, readyReplicas: 0, updatedReplicas: 1, availableReplicas: 0});
};

describe('while one data tier has yet to come up with a change', () => {
  const BAD = 'nowhere.example.com';
  const WRONG_IMAGE = {images: {postgres: `${BAD}/postgres:17`}};
  const waits = {component: 'database', reason: 'waits until shard 0 has restarted'};

  /** As a pod of the newest template that does not start. */
  const stuck = (region: SimulatedRegion, kind: string, name: string): void => {
    const observedGeneration = region.find(kind, name)?.metadata.generation;
    const revisions = {currentRevision: 'one', updateRevision: 'two'};
    region.set(kind, name, {observedGeneration, replicas: 1, updatedReplicas: 1, ...revisions});
  };

  const failing = (): SimulatedRegion => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    region.change(WRONG_IMAGE);
    region.settle();
    stuck(region, 'StatefulSet', 'eu-pg-0');
    down(region, 'StatefulSet', 'eu-pg-1');
    region.settle();
    return region;
  };

  test.each([
    ['cache', {images: {registry: BAD}}, 'Deployment', 'eu-redis'],
    ['shard', WRONG_IMAGE, 'StatefulSet', 'eu-pg-0'],
    ['shard', {postgres: {podTemplate: {priorityClassName: 'none'}}}, 'StatefulSet', 'eu-pg-0'],
  ])('no other one is given the change of the %s because its pod is away: %j', (_what, change, kind, name) => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const before = templates(region);
    const changed = () => templates(region).flatMap((text, i) => (text === before[i] ? [] : [DATA[i]?.[1]]));
    region.change(change);
    region.settle();
    stuck(region, kind, name);
    for (const [otherKind, other] of DATA) {
      if (other !== name) down(region, otherKind, other);
      region.settle();
    }
    expect(changed()).toEqual([name]);
    region.spec = MINIMAL;
    region.generation++;
    region.settle();
    expect(changed()).toEqual([]);
  });

  test('a shard whose pod is away comes back as it was, and says what its change waits for', () => {
    const region = failing();
    expect(from(region, BAD)).toEqual(['eu-pg-0']);
    expect(region.status.pendingChanges).toContainEqual(waits);
    region.set('StatefulSet', 'eu-pg-1', {observedGeneration: 1_000, replicas: 1, readyReplicas: 1});
    region.settle();
    expect(from(region, BAD)).toEqual(['eu-pg-0']);
    expect(region.status.pendingChanges).toContainEqual(waits);
  });

  test('the next change goes to that one first, and to one that is away when it has come up', () => {
    const region = failing();
    region.change({images: {postgres: 'mirror.example.com/postgres:17'}});
    region.settle();
    expect(from(region, 'mirror.example.com')).toEqual(['eu-pg-0']);
    region.set('StatefulSet', 'eu-pg-0', {observedGeneration: 1_000, replicas: 1, readyReplicas: 1});
    region.settle();
    expect(from(region, 'mirror.example.com')).toEqual(['eu-pg-0', 'eu-pg-1']);
  });

  test('a change that is taken back together with another one holds up nobody', () => {
    const region = failing();
    region.change({images: {}, postgres: {resources: {limits: {memory: '4Gi'}}}});
    const before = templates(region)[2];
    region.settle();
    expect(templates(region)[2]).toBe(before);
    region.makeReady('StatefulSet');
    region.settle();
    expect(templates(region)[2]).not.toBe(before);
  });

  test('whatever never came up is changed at once', () => {
    const region = new SimulatedRegion({...MINIMAL, ...WRONG_IMAGE});
    region.settle();
    stuck(region, 'StatefulSet', 'eu-pg-0');
    down(region, 'StatefulSet', 'eu-pg-1');
    expect(from(region, BAD)).toEqual(['eu-pg-0', 'eu-pg-1']);
    region.change({images: {}});
    region.settle();
    expect(from(region, BAD)).toEqual([]);
  });

  test('StatefulSets of an operator that did not note what came up are changed as by that', () => {
    const region = new SimulatedRegion(MINIMAL).bringUp();
    const before = templates(region);
    for (const [kind, name] of DATA) {
      const found = region.find(kind, name);
      if (found === undefined) throw new Error(`no ${kind} ${name}`);
      const {'pisync.io/rolled-out': _, ...annotations} = found.metadata.annotations ?? {};
      region.objects.set(keyText(keyOf(found)), {...found, metadata: {...found.metadata, annotations}});
    }
    down(region, 'StatefulSet', 'eu-pg-0');
    region.settle();
    expect(templates(region)).toEqual(before);
    region.change(WRONG_IMAGE);
    region.settle();
    expect(from(region, BAD)).toEqual(['eu-pg-0']);
    down(region, 'StatefulSet', 'eu-pg-1');
    region.change({images: {}});
    region.settle();
    expect(from(region, BAD)).toEqual([]);
    region.makeReady('StatefulSet');
    region.settle();
    expect(region.pass()).toEqual([]);
  });
});
