import {describe, expect, test} from '@jest/globals';
import {keyOf, keyText, type KubeObject} from '../kube/object.ts';
import {type HostHolder, holderOf} from './host-taken.ts';
import {BROKER_VOLUMES, KEPT, SHARD_VOLUMES} from './labels.ts';
import {SimulatedRegion, UID} from './testing/simulated-region.ts';
import {brokenLaws} from './testing/status-laws.ts';
import {setClaim} from './testing/volume-claims.ts';

const SPEC = {region: 'eu-west', postgres: {shards: 2}};
const CLAIMS = {
  'eu-pg-0': 'data-eu-pg-0-0',
  'eu-pg-1': 'data-eu-pg-1-0',
  'eu-pg-2': 'data-eu-pg-2-0',
  'eu-rabbitmq': 'data-eu-rabbitmq-0',
};
const EARLIER = 'earlier-';

type Policy = 'Delete' | 'Retain';

/** As the StatefulSets' controller does it. */
const makeClaims = (region: SimulatedRegion, life: string, deletionPolicy: Policy): void => {
  for (const [set, claim] of Object.entries(CLAIMS)) {
    const owner = region.find('StatefulSet', set);
    if (owner === undefined || region.find('PersistentVolumeClaim', claim) !== undefined) continue;
    setClaim(region, `${life}${claim}`, '10Gi', '10Gi', claim);
    const made = region.find('PersistentVolumeClaim', claim);
    if (made === undefined) throw new Error('no claim');
    const ownerReferences = [{apiVersion: 'apps/v1', kind: 'StatefulSet', name: set, uid: owner.metadata.uid}];
    const metadata = {...made.metadata, annotations: KEPT, ...(deletionPolicy === 'Retain' ? {} : {ownerReferences})};
    region.objects.set(keyText(keyOf(made)), {...made, metadata});
  }
};

/** A region of the name of one that was deleted, and of which all objects are still there. */
const again = (
  deletionPolicy: Policy,
  change: (object: KubeObject) => KubeObject = (object) => object,
  shards = SPEC.postgres.shards,
) => {
  const earlier = new SimulatedRegion({...SPEC, postgres: {shards}, deletionPolicy});
  earlier.settle();
  makeClaims(earlier, EARLIER, deletionPolicy);
  earlier.bringUp();
  expect(earlier.status.phase).toBe('Ready');
  const region = new SimulatedRegion({...SPEC, deletionPolicy});
  for (const [key, object] of earlier.objects) {
    const {ownerReferences = [], uid, ...metadata} = object.metadata;
    const owners = ownerReferences.map((owner) => ({...owner, uid: `${EARLIER}${owner.uid}`}));
    const whose = owners.length === 0 ? {} : {ownerReferences: owners};
    const other = uid.startsWith(EARLIER) ? uid : `${EARLIER}${uid}`;
    region.objects.set(key, change({...object, metadata: {...metadata, ...whose, uid: other}}));
  }
  // It was made this very moment.
  region.now = new Date(region.object.metadata.creationTimestamp ?? '');
  return region;
};

/** What the garbage collector takes: objects whose owner is gone. */
const garbage = (region: SimulatedRegion): readonly string[] => {
  const uids = new Set([UID, ...[...region.objects.values()].map(({metadata}) => metadata.uid)]);
  return [...region.objects].flatMap(([key, {metadata}]) =>
    metadata.ownerReferences?.every(({uid}) => !uids.has(uid)) === true ? [key] : [],
  );
};

/** It takes one, and every time the operator looks. Answers what the region was said to wait for. */
const collect = (
  region: SimulatedRegion,
  deletionPolicy: Policy,
  pick: (keys: readonly string[]) => string | undefined,
): readonly string[] => {
  const waits: string[] = [];
  for (let key = pick(garbage(region)); key !== undefined; key = pick(garbage(region))) {
    region.pass();
    makeClaims(region, 'new-', deletionPolicy);
    if (region.status.conditions?.[0]?.reason === 'EarlierRegionRemains') waits.push(region.status.message ?? '');
    // What was taken over meanwhile stays.
    if (garbage(region).includes(key)) region.objects.delete(key);
  }
  return waits;
};

const bringUp = (region: SimulatedRegion, deletionPolicy: Policy): void => {
  region.settle();
  makeClaims(region, 'new-', deletionPolicy);
  region.bringUp();
};

const volumes = (region: SimulatedRegion): readonly (string | undefined)[] => {
  const annotations = region.find('Secret', 'eu-bootstrap')?.metadata.annotations;
  return [annotations?.[SHARD_VOLUMES], annotations?.[BROKER_VOLUMES]];
};
const volumesOf = (life: string): readonly string[] => [
  `${life}data-eu-pg-0-0,${life}data-eu-pg-1-0`,
  `${life}data-eu-rabbitmq-0`,
];

const kindFirst = (kind: string) => (keys: readonly string[]) =>
  keys.find((key) => key.includes(`/${kind}/`)) ?? keys[0];
const kindLast = (kind: string) => (keys: readonly string[]) =>
  keys.find((key) => !key.includes(`/${kind}/`)) ?? keys[0];

describe('a region in the place of one that was deleted', () => {
  test.each<[string, (keys: readonly string[]) => string | undefined]>([
    ['in order', (keys) => keys[0]],
    ['backwards', (keys) => keys.at(-1)],
    ['Secrets first', kindFirst('Secret')],
    ['StatefulSets first', kindFirst('StatefulSet')],
    ['StatefulSets last', kindLast('StatefulSet')],
    ['Jobs last', kindLast('Job')],
    ['claims last', kindLast('PersistentVolumeClaim')],
  ])('with its data has none of it, taken %s, and begins by itself', (_order, pick) => {
    const region = again('Delete');
    const waits = collect(region, 'Delete', pick);
    expect(waits[0]).toContain('waits until what was deleted with an earlier region of this name is gone: StatefulSet');
    bringUp(region, 'Delete');
    expect(region.status).toMatchObject({phase: 'Ready', message: 'the region works'});
    expect(volumes(region)).toEqual(volumesOf('new-'));
    for (const {status, generation} of region.statuses) expect(brokenLaws(status, generation)).toEqual([]);
    expect(region.events.filter(({type}) => type === 'Warning')).toEqual([]);
  });

  test('and that had more shards does not begin, and later grow, with their volumes', () => {
    const region = again('Delete', undefined, 3);
    const waits = collect(region, 'Delete', (keys) => keys.find((key) => !key.includes('data-eu-pg-2-0')) ?? keys[0]);
    expect(waits.at(-1)).toContain('is gone: PersistentVolumeClaim data-eu-pg-2-0');
    bringUp(region, 'Delete');
    region.change({postgres: {shards: 3}});
    bringUp(region, 'Delete');
    bringUp(region, 'Delete');
    expect(region.status).toMatchObject({phase: 'Ready', message: 'the region works'});
    expect(volumes(region)[0]).toBe('new-data-eu-pg-0-0,new-data-eu-pg-1-0,new-data-eu-pg-2-0');
  });

  describe('of which a part has stayed', () => {
    const partOf = (...kept: readonly string[]): SimulatedRegion => {
      const region = again('Retain');
      for (const [key, {kind, metadata}] of region.objects)
        if (!kept.includes(metadata.name) || kind !== 'PersistentVolumeClaim') region.objects.delete(key);
      return region;
    };
    const started = (region: SimulatedRegion): readonly string[] => region.names('Secret');

    test.each([['data-eu-pg-1-0'], ['data-eu-rabbitmq-0'], ['data-eu-pg-2-0']])(
      '%s alone, does not begin until it is gone',
      (claim) => {
        const region = partOf(claim);
        if (region.objects.size === 0) setClaim(region, 'left', '10Gi', '10Gi', claim);
        region.change({ingress: {host: 'eu.sync.example.com'}});
        region.settle();
        expect(started(region)).toEqual([]);
        expect(region.status).toMatchObject({phase: 'Pending', hosts: [{host: 'eu.sync.example.com'}]});
        const told = {
          type: 'Stalled',
          status: 'True',
          reason: 'EarlierDataIncomplete',
          message: expect.stringContaining(`PersistentVolumeClaim ${claim}, without data-eu-pg-0-0`),
        };
        expect(region.status.conditions).toContainEqual(expect.objectContaining(told));
        region.objects.clear();
        bringUp(region, 'Delete');
        expect(region.status).toMatchObject({phase: 'Ready', message: 'the region works'});
      },
    );

    const change = (region: SimulatedRegion, key: string, metadata: Partial<KubeObject['metadata']>): void => {
      const object = region.objects.get(key);
      if (object === undefined) throw new Error(`no ${key}`);
      region.objects.set(key, {...object, metadata: {...object.metadata, ...metadata}});
    };

    test.each(['data-eu-pg-0-0', 'data-eu-pg-1-0'])(
      'and of which %s is being deleted, waits until that is gone',
      (claim) => {
        const region = partOf('data-eu-pg-0-0', 'data-eu-pg-1-0');
        const key = `v1/PersistentVolumeClaim/sync/${claim}`;
        change(region, key, {deletionTimestamp: '2026-01-01T00:00:00Z'});
        region.settle();
        expect([started(region), region.status.message]).toEqual([
          [],
          expect.stringContaining(`is gone: PersistentVolumeClaim ${claim}`),
        ]);
        region.objects.delete(key);
        region.settle();
        expect([started(region), region.status.conditions?.[0]?.reason]).toEqual([[], 'EarlierDataIncomplete']);
      },
    );

    test('has not begun by a StatefulSet of the earlier one', () => {
      const region = again('Retain');
      for (const [key, {kind, metadata}] of region.objects)
        if (metadata.name !== 'data-eu-pg-1-0' && (kind !== 'StatefulSet' || metadata.name !== 'eu-rabbitmq'))
          region.objects.delete(key);
      region.settle();
      expect([started(region), region.status.conditions?.[0]?.reason]).toEqual([[], 'EarlierDataIncomplete']);
    });

    test('is not judged while something cannot be read', () => {
      const region = partOf('data-eu-pg-0-0');
      region.unread = 'PersistentVolumeClaim data-eu-pg-1-0 cannot be read: 500';
      expect(() => region.pass()).toThrow(region.unread);
    });

    test('begins with that when it has a volume for each shard', () => {
      const region = partOf('data-eu-pg-0-0', 'data-eu-pg-1-0');
      bringUp(region, 'Retain');
      expect(region.status).toMatchObject({phase: 'Ready', message: 'the region works'});
      expect(volumes(region)[0]).toBe(volumesOf(EARLIER)[0]);
    });

    test('takes a claim that a person has made for one that is missing', () => {
      const region = partOf('data-eu-pg-0-0');
      region.settle();
      expect(started(region)).toEqual([]);
      setClaim(region, 'by-hand', '10Gi', '10Gi', 'data-eu-pg-1-0');
      bringUp(region, 'Retain');
      expect(region.status).toMatchObject({phase: 'Ready', message: 'the region works'});
    });

    test('is the same region when only its Secret was deleted', () => {
      const region = new SimulatedRegion(SPEC).bringUp();
      region.objects.delete('v1/Secret/sync/eu-bootstrap');
      region.settle();
      expect(started(region)).toContain('eu-bootstrap');
    });
  });

  test('does not wait for the claim of somebody else’s StatefulSet', () => {
    const region = new SimulatedRegion(SPEC);
    setClaim(region, 'theirs', '10Gi', '10Gi', 'data-eu-pg-0-0');
    const key = 'v1/PersistentVolumeClaim/sync/data-eu-pg-0-0';
    const claim = region.objects.get(key);
    if (claim === undefined) throw new Error('no claim');
    const owner = {apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'eu-pg-0', uid: 'theirs'};
    region.objects.set(key, {...claim, metadata: {...claim.metadata, labels: {app: 'crm'}, ownerReferences: [owner]}});
    region.pass();
    expect(region.names('Secret')).toContain('eu-bootstrap');
  });

  test('with its data does not share its slots out as that did', () => {
    const saved = {'slot-map.json': '{"version":0,"runs":[[1024,0]]}'};
    const region = again('Delete', (object) =>
      object.metadata.name === 'eu-facts' ? {...object, data: saved} : object,
    );
    expect(collect(region, 'Delete', kindLast('ConfigMap')).at(-1)).toContain('is gone: ConfigMap eu-facts');
    bringUp(region, 'Delete');
    expect(region.find('ConfigMap', 'eu-facts')).toMatchObject({data: {}});
    expect(region.find('ConfigMap', 'eu-facts')).not.toMatchObject({data: saved});
    expect(region.status).toMatchObject({phase: 'Ready', message: 'the region works'});
  });

  test('with its data waits for who would write down again how that shared its slots out', () => {
    expect(collect(again('Delete'), 'Delete', kindLast('Deployment')).at(-1)).toContain(
      'is gone: Deployment eu-keeper',
    );
  });

  test.each<[string, Policy, (object: KubeObject) => KubeObject]>([
    ['under Retain', 'Retain', (object) => object],
    [
      'with --cascade=orphan',
      'Delete',
      ({metadata: {ownerReferences, ...metadata}, ...object}) => ({
        ...object,
        metadata: {
          ...metadata,
          // Those of claims are no business of the region's deletion.
          ...(ownerReferences?.[0]?.kind === 'StatefulSet' ? {ownerReferences} : {}),
        },
      }),
    ],
  ])('%s waits for nothing and has all of its data', (_how, policy, change) => {
    const region = again(policy, change);
    expect(collect(region, policy, (keys) => keys[0])).toEqual([]);
    bringUp(region, policy);
    expect(region.status).toMatchObject({phase: 'Ready', message: 'the region works'});
    expect(volumes(region)).toEqual(volumesOf(EARLIER));
  });

  test('under Retain with --cascade=foreground has all of its data', () => {
    const region = again('Retain');
    for (const key of garbage(region)) region.objects.delete(key);
    bringUp(region, 'Retain');
    expect(region.status).toMatchObject({phase: 'Ready', message: 'the region works'});
    expect(volumes(region)).toEqual(volumesOf(EARLIER));
  });

  test('waits for the claim of a shard that was taken back, which the region owned', () => {
    const region = again('Delete');
    for (const _round of [1, 2]) for (const key of garbage(region)) region.objects.delete(key);
    setClaim(region, 'left', '10Gi', '10Gi', 'data-eu-pg-2-0');
    const key = 'v1/PersistentVolumeClaim/sync/data-eu-pg-2-0';
    const claim = region.objects.get(key);
    if (claim === undefined) throw new Error('no claim');
    const owner = {apiVersion: 'pisync.io/v1alpha1', kind: 'PiSyncRegion', name: 'eu', uid: EARLIER, controller: true};
    region.objects.set(key, {...claim, metadata: {...claim.metadata, ownerReferences: [owner]}});
    expect(region.pass()).toEqual([]);
    expect(region.status.message).toContain('is gone: PersistentVolumeClaim data-eu-pg-2-0');
    region.objects.delete(key);
    bringUp(region, 'Delete');
    expect(region.status).toMatchObject({phase: 'Ready', message: 'the region works'});
  });

  describe('that waits', () => {
    const HOST = 'eu.sync.example.com';
    const hosts = [{host: HOST}];
    const waiting = (spec: Record<string, unknown>, others: readonly HostHolder[] = []): SimulatedRegion => {
      const region = again('Delete');
      region.others = others;
      region.change({ingress: {host: HOST}, ...spec});
      region.settle();
      expect(region.names('Ingress')).toEqual([]);
      return region;
    };

    test('has its hosts already, which no other region gets', () => {
      const region = waiting({});
      expect(region.status).toMatchObject({phase: 'Pending', hosts});
      const other = new SimulatedRegion({...SPEC, ingress: {host: HOST}});
      other.others = [{...holderOf(region.object), region: 'b/eu', uid: 'b', age: '~'}];
      other.bringUp();
      expect(other.status).toMatchObject({message: expect.stringContaining('is already that of region b/eu')});
      expect(other.status).not.toHaveProperty('hosts');
      for (const _round of [1, 2]) for (const key of garbage(region)) region.objects.delete(key);
      bringUp(region, 'Delete');
      expect(region.status).toMatchObject({phase: 'Ready', hosts});
    });

    test('keeps them while it is suspended or invalid, and changes them with its spec', () => {
      const region = waiting({});
      for (const spec of [{suspend: true}, {suspend: false, postgres: {shards: 0}}]) {
        region.change({...spec, ingress: {host: 'us.sync.example.com'}});
        region.settle();
        expect(region.status).toMatchObject({phase: 'Pending', hosts});
      }
      region.change(SPEC);
      region.settle();
      expect(region.status.hosts).toEqual([{host: 'us.sync.example.com'}]);
    });

    test.each<[string, Record<string, unknown>, readonly HostHolder[]]>([
      ['another region has', {}, [{region: 'b/eu', uid: 'b', age: '', hosts}]],
      ['it asks for while it is suspended', {suspend: true}, []],
      ['it asks for while it is invalid', {postgres: {shards: 0}}, []],
    ])('gets no host that %s', (_what, spec, others) => {
      expect(waiting(spec, others).status).not.toHaveProperty('hosts');
    });
  });

  test('that the garbage collector does not take waits for a person after ten minutes', () => {
    const region = again('Delete');
    region.settle();
    expect(region.status).toMatchObject({phase: 'Pending'});
    const {next} = region;
    if (next.kind !== 'after') throw new Error('nobody looks again');
    region.now = new Date(region.now.getTime() + next.delayMs);
    region.settle();
    expect(region.status.conditions).toContainEqual(
      expect.objectContaining({
        type: 'Stalled',
        status: 'True',
        reason: 'EarlierRegionRemains',
        message: expect.stringContaining('garbage collector has not taken it in ten minutes'),
      }),
    );
    expect(region.next).toEqual({kind: 'on-change'});
    for (const _round of [1, 2]) for (const key of garbage(region)) region.objects.delete(key);
    bringUp(region, 'Delete');
    expect(region.status).toMatchObject({phase: 'Ready', message: 'the region works'});
  });
});
