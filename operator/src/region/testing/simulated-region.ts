import {FACTS_KEY, type Facts} from '@pisync/contract/facts';
import {type RegionStatus, UNSEEN} from '../../api/v1alpha1/status.ts';
import {
  type Basis,
  type Desired,
  type EventDraft,
  type Next,
  type ObjectOutcome,
  type Surplus,
} from '../../kube/controller.ts';
import {keyOf, keyText, type KubeObject, type Manifest} from '../../kube/object.ts';
import {uncovered} from '../../kube/fingerprint.ts';
import {MOST_PRUNED, stillDecided} from '../../kube/pass.ts';
import {Children} from '../children.ts';
import {type Release} from '../context.ts';
import {namesOf} from '../names.ts';
import {planRegion} from '../plan.ts';
import {holderOf, type HostHolder} from '../host-taken.ts';
import {known, type Reading} from '../reading.ts';
import {decodeRegion} from '../region.ts';

export const RELEASE: Release = {
  version: '1.2.3',
  images: {
    service: 'registry.example.com/pisync:1.2.3',
    postgres: 'docker.io/library/postgres:17',
    rabbitmq: 'docker.io/library/rabbitmq:4.2',
    redis: 'docker.io/library/redis:8',
  },
};

/** What belongs to the region as long as its image is that of the release. */
export const NAMES = namesOf('eu', RELEASE.images.service);

/** When the region was made. */
const CREATED = '2026-03-01T00:00:00Z';

export const UID = '00000000-0000-4000-8000-000000000001';

/**
 * A region in a world of values: passes are made by hand, children exist because a pass wrote them and become ready because a test says so. What a
 * real API server would add (defaults, versions) is left out.
 */
export class SimulatedRegion {
  readonly objects = new Map<string, KubeObject>();
  readonly statuses: {readonly status: RegionStatus; readonly generation: number}[] = [];
  readonly events: EventDraft[] = [];
  spec: Record<string, unknown>;
  generation = 1;
  status: RegionStatus = {observedGeneration: UNSEEN};
  gatewayApi: Reading<boolean> = known(true);
  gateway: Reading<KubeObject | undefined> = known(undefined);
  certificate: Reading<KubeObject | undefined> = known(undefined);
  /** Other regions, with the hosts that are theirs. */
  others: readonly HostHolder[] = [];
  /** Namespaces whose regions are not seen. */
  unseen: readonly string[] = [];
  unread: string | undefined;
  /** What the keeper has written, over what is in the ConfigMap; a text is somebody else's. */
  facts: Facts | string | undefined = {checkedAt: '2026-03-01T12:00:00Z', shards: []};
  factsAgeMs = 0;
  /** When the last pass wanted the next one. */
  next: Next = {kind: 'on-change'};
  isDeleted = false;
  /** What the last pass wanted done with our finalizer. */
  finalizer: 'keep' | 'release' | undefined;
  release = RELEASE;
  now = new Date('2026-03-01T12:00:00Z');
  /** What the next writes end with instead, by kind and name, e.g. `Service/eu-redis`. */
  readonly failures = new Map<string, 'conflict' | 'contested' | 'refused' | 'failed' | 'immutable'>();
  /** What the API server makes of an object that is written. */
  webhook = (sent: KubeObject): KubeObject => sent;
  /** What somebody does while a pass is at work. */
  meanwhile = (): void => undefined;
  /** What the server does with a status that is written. */
  takesStatus = true;
  /** What the server has in another version than a pass sees, by kind and name. */
  readonly changed = new Set<string>();
  /** The last pass wants another one to follow upon its status. */
  #isFollowed = false;
  #uids = 1;

  constructor(spec: Record<string, unknown>) {
    this.spec = spec;
  }

  /** As the server has it. */
  get object(): KubeObject {
    return {
      apiVersion: 'pisync.io/v1alpha1',
      kind: 'PiSyncRegion',
      metadata: {
        name: 'eu',
        namespace: 'sync',
        uid: UID,
        resourceVersion: '1',
        generation: this.generation,
        creationTimestamp: CREATED,
        ...(this.isDeleted ? {deletionTimestamp: this.now.toISOString()} : {}),
      },
      spec: this.spec,
      status: this.status,
    };
  }

  change(spec: Record<string, unknown>): void {
    this.spec = {...this.spec, ...spec};
    this.generation++;
  }

  /** One pass. Answers the names of what was written. */
  pass(): readonly string[] {
    this.now = new Date(this.now.getTime() + 1_000);
    const region = decodeRegion(this.object);
    const observed = {
      region,
      children: new Children([...this.objects.values()].map((object) => this.#withFacts(object))),
      factsAgeMs: this.factsAgeMs,
      entrance: {
        gatewayApi: this.gatewayApi,
        gateway: this.gateway,
        certificate: this.certificate,
        own: holderOf(region.object),
        others: this.others,
        unseen: this.unseen,
      },
      unread: this.unread,
    };
    const plan = planRegion(observed, this.now, this.release);
    this.meanwhile();
    this.finalizer = plan.finalizer;
    const outcome = new Map<string, readonly ObjectOutcome[]>(
      plan.components.map(({name, desired, prune}) => {
        const applied = desired.map((item) => this.#apply(item));
        return [name, [...applied, ...this.#prune(prune)]] as const;
      }),
    );
    outcome.set('surplus', this.#prune(stillDecided(plan.surplus, outcome)));
    const written = [...outcome.values()]
      .flat()
      .filter(({kind}) => ['created', 'configured', 'deleted'].includes(kind))
      .map(({key}) => `${key.kind}/${key.name}`);
    const {status, events, next, leadsOn = false} = plan.conclude(outcome);
    this.next = next;
    this.#isFollowed = leadsOn && this.takesStatus;
    if (status !== undefined && this.takesStatus) {
      this.status = status;
      this.statuses.push({status, generation: this.generation});
    }
    this.events.push(...events);
    return written;
  }

  /** Passes until one writes nothing that another one follows upon. */
  settle(): void {
    for (let passes = 0; passes < 20; passes++) if (this.pass().length === 0 && !this.#isFollowed) return;
    throw new Error('20 passes and still something to write');
  }

  find(kind: string, name: string): KubeObject | undefined {
    return [...this.objects.values()].find((object) => object.kind === kind && object.metadata.name === name);
  }

  names(kind: string): readonly string[] {
    return [...this.objects.values()].filter((object) => object.kind === kind).map(({metadata}) => metadata.name);
  }

  /** As a controller that has a finalizer on it holds a deletion up, or none does any more. */
  hold(kind: string, name: string, ...finalizers: readonly string[]): void {
    const object = this.find(kind, name);
    if (object === undefined) throw new Error(`no ${kind} ${name}`);
    const {finalizers: _, ...metadata} = object.metadata;
    const key = keyText(keyOf(object));
    if (finalizers.length > 0) this.objects.set(key, {...object, metadata: {...metadata, finalizers}});
    else if (metadata.deletionTimestamp === undefined) this.objects.set(key, {...object, metadata});
    else this.objects.delete(key);
  }

  /** As the cluster's controllers would report it. */
  set(kind: string, name: string, status: Record<string, unknown>): void {
    const object = this.find(kind, name);
    if (object === undefined) throw new Error(`no ${kind} ${name}; there are ${[...this.objects.keys()].join(', ')}`);
    this.objects.set(keyText(keyOf(object)), {...object, status});
  }

  /** Every StatefulSet and Deployment has `replicas` ready pods of the newest revision. */
  makeReady(kind: 'StatefulSet' | 'Deployment', replicas = 2): void {
    for (const name of this.names(kind)) {
      const count = kind === 'StatefulSet' ? 1 : replicas;
      this.set(kind, name, {
        observedGeneration: this.find(kind, name)?.metadata.generation,
        replicas: count,
        readyReplicas: count,
        updatedReplicas: count,
        availableReplicas: count,
      });
    }
  }

  completeJobs(): void {
    for (const name of this.names('Job')) this.set('Job', name, {conditions: [{type: 'Complete', status: 'True'}]});
  }

  /** From nothing to Ready. */
  bringUp(): this {
    this.settle();
    this.makeReady('StatefulSet');
    this.makeReady('Deployment');
    this.settle();
    this.completeJobs();
    this.settle();
    this.makeReady('Deployment');
    this.settle();
    return this;
  }

  #withFacts(object: KubeObject): KubeObject {
    return this.facts !== undefined && object.kind === 'ConfigMap' && object.metadata.name === 'eu-facts'
      ? {...object, data: {[FACTS_KEY]: typeof this.facts === 'string' ? this.facts : JSON.stringify(this.facts)}}
      : object;
  }

  #prune(surplus: readonly Surplus[] = []): readonly ObjectOutcome[] {
    return surplus.slice(0, MOST_PRUNED).map(({ref, unchanged = []}): ObjectOutcome => {
      if (!unchanged.every((basis) => this.#isUnchanged(basis)))
        return {kind: 'failed', key: ref, message: `${ref.kind} ${ref.name} stays`};
      const key = keyText(ref);
      const object = this.objects.get(key);
      if (object?.metadata.finalizers === undefined) this.objects.delete(key);
      else
        this.objects.set(key, {
          ...object,
          metadata: {...object.metadata, deletionTimestamp: this.now.toISOString()},
        });
      return {kind: 'deleted', key: ref, repaired: false};
    });
  }

  #isUnchanged({key, version}: Basis): boolean {
    if (this.changed.has(`${key.kind}/${key.name}`)) return false;
    const live = key.kind === this.object.kind ? this.object : this.objects.get(keyText(key));
    return live?.metadata.resourceVersion === version;
  }

  #apply(desired: Desired): ObjectOutcome {
    const {manifest} = desired;
    const key = keyOf(manifest);
    const failure = this.failures.get(`${key.kind}/${key.name}`);
    if (failure === 'immutable') return {kind: failure, key, message: `${key.kind} ${key.name}: immutable`, fields: []};
    if (failure !== undefined) return {kind: failure, key, message: `${key.kind} ${key.name}: ${failure}`};
    const before = this.objects.get(keyText(key));
    if (desired.life !== undefined && before?.metadata.uid !== desired.life)
      return {kind: 'unchanged', key, repaired: false};
    if (before?.metadata.deletionTimestamp !== undefined)
      return {kind: 'failed', key, message: `${key.kind} ${key.name} is still being deleted`};
    const sent = this.#made(desired, before);
    const kept = this.webhook(sent);
    const after = {...kept, metadata: {...kept.metadata, generation: generationOf(before, kept)}};
    const fields = kept === sent ? [] : uncovered(kept, sent);
    const rewritten =
      fields.length === 0 ? {} : {rewritten: {fields, message: `${key.kind} ${key.name}: ${fields.join()}`}};
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(after)) {
      return {kind: 'unchanged', key, repaired: false, ...rewritten};
    }
    const resourceVersion = String(Number(before?.metadata.resourceVersion ?? 0) + 1);
    this.objects.set(keyText(key), {...after, metadata: {...after.metadata, resourceVersion}});
    return {kind: before === undefined ? 'created' : 'configured', key, repaired: false, ...rewritten};
  }

  #made(desired: Desired, before: KubeObject | undefined): KubeObject {
    const {generated, ownership, onceFields} = desired;
    const manifest = scaled(desired, before);
    const finalizers = before?.metadata.finalizers;
    const owner = {apiVersion: 'pisync.io/v1alpha1', kind: 'PiSyncRegion', name: 'eu', uid: UID, controller: true};
    const made: KubeObject = {
      ...manifest,
      metadata: {
        ...manifest.metadata,
        ...(ownership === 'none' ? {} : {ownerReferences: [owner]}),
        uid: before?.metadata.uid ?? `uid-${this.#uids++}`,
        resourceVersion: before?.metadata.resourceVersion ?? '1',
        creationTimestamp: before?.metadata.creationTimestamp ?? this.now.toISOString(),
        ...(finalizers === undefined ? {} : {finalizers}),
      },
      ...(before?.['status'] === undefined ? {} : {status: before['status']}),
    };
    if (generated !== undefined) {
      const random = Object.fromEntries(
        Object.keys(generated).map((key) => [key, Buffer.from(key).toString('base64')]),
      );
      return {...made, data: {...record(made['data']), ...random, ...record(before?.['data'])}};
    }
    const kept = (onceFields ?? []).flatMap((field): [string, unknown][] =>
      before?.[field] === undefined ? [] : [[field, before[field]]],
    );
    return {...made, ...Object.fromEntries(kept)};
  }
}

/** With the number of pods that another field manager has set. */
const scaled = ({manifest, replicas}: Desired, before: KubeObject | undefined): Manifest => {
  const count = replicas === 'released' ? record(before?.['spec'])['replicas'] : replicas;
  return count === undefined ? manifest : {...manifest, spec: {...record(manifest['spec']), replicas: count}};
};

/** Counts changes of the spec, as the server does. */
const generationOf = (before: KubeObject | undefined, {spec}: Manifest): number => {
  const last = before?.metadata.generation ?? 0;
  return before !== undefined && JSON.stringify(before['spec']) === JSON.stringify(spec) ? last : last + 1;
};

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? {...value} : {};
