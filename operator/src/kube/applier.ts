import {type ApiClient} from './api-client.ts';
import {type Caches} from './caches.ts';
import {type Clock} from './clock.ts';
import {type Applied, type ApplyResult, type DeletePrecondition, type Desired} from './controller.ts';
import {type Discovery} from './discovery.ts';
import {ApiError, ApplyRefused, isNotFound} from './errors.ts';
import {covers, fingerprint, project} from './fingerprint.ts';
import {MANAGED_BY, type Identity} from './identity.ts';
import {type KubeMetrics} from './metrics.ts';
import {describeKey, keyOf, keyText, type Key, type KubeObject, type Manifest, type ObjectRef} from './object.ts';
import {signed, strangerOf} from './ownership.ts';
import {clean} from './reflector.ts';
import {refusalOf} from './refusal.ts';
import {TokenBucket} from './token-bucket.ts';

export interface ApplierOptions {
  readonly client: ApiClient;
  readonly discovery: Discovery;
  readonly caches: Caches;
  readonly clock: Clock;
  readonly identity: Identity;
  readonly metrics: KubeMetrics;
  /** Random text for generated Secret values. */
  readonly randomText: (bytes: number, encoding: 'base64url' | 'hex') => string;
}

/**
 * How often one object is put right: somebody who tries things out is far below it, a second controller that wants something else far above. Both
 * are woken by the other's write, so without a limit they would write as fast as the server takes it.
 */
const REPAIRS = {burst: 20, refillMs: 60_000};

/** What is remembered of the last apply of one object. */
interface Memory {
  readonly uid: string;
  readonly hash: string;
  /** Fingerprint of the live object at the places we speak about, after the apply. */
  readonly live: string;
  /** The server said that this wish is impossible for this object: asking again changes nothing. */
  readonly refused?: ApplyRefused;
}

/**
 * Makes objects as desired by server-side apply, and sends nothing when neither the wish nor the object changed.
 *
 * Suppression is not an optimisation alone: applying a StatefulSet with volumeClaimTemplates again bumps its resourceVersion
 * every time (kubernetes/kubernetes#119304), which wakes the controller, which applies it again. Of the last apply it
 * remembers the hash of the wish and a fingerprint of the answer at the places the wish speaks about; an annotation with
 * the hash carries the first over a restart.
 */
export class Applier {
  readonly #options: ApplierOptions;
  /** By owner's uid, then by key. */
  readonly #memory = new Map<string, Map<string, Memory>>();
  /** By owner's uid, then by key: objects that somebody else has changed. */
  readonly #repairs = new Map<string, Map<string, TokenBucket>>();

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  async apply(desired: Desired, owner: ObjectRef, signal: AbortSignal): Promise<Applied> {
    const key = keyOf(desired.manifest);
    const {metrics} = this.#options;
    try {
      const applied = await this.#apply(desired, key, owner, signal);
      metrics.applies.inc({kind: key.kind, result: applied.kind});
      if (applied.repaired) metrics.driftRepairs.inc({kind: key.kind});
      return applied;
    } catch (error) {
      const refusal = refusalOf(error, key);
      metrics.applies.inc({kind: key.kind, result: refusal?.kind ?? 'failed'});
      throw refusal ?? error;
    }
  }

  async delete(key: Key, precondition: DeletePrecondition, signal: AbortSignal): Promise<'deleted' | 'gone'> {
    const {client, discovery, caches} = this.#options;
    const known = caches.get(key);
    // Deletion was asked for already; whoever holds a finalizer is at work.
    if (known?.metadata.uid === precondition.uid && known.metadata.deletionTimestamp !== undefined) return 'gone';
    try {
      const {body} = await client.send({
        method: 'DELETE',
        path: await discovery.objectPath(key, signal),
        body: {
          kind: 'DeleteOptions',
          apiVersion: 'v1',
          propagationPolicy: precondition.propagation ?? 'Background',
          preconditions: {uid: precondition.uid},
        },
        signal,
      });
      // The object itself while finalizers hold it, otherwise a Status.
      const left = body as KubeObject;
      if (left.kind === key.kind) caches.assume(clean(left, key));
      else if (known?.metadata.uid === precondition.uid) caches.assumeGone(known);
      for (const remembered of this.#memory.values()) remembered.delete(keyText(key));
      return 'deleted';
    } catch (error) {
      // 409: the name belongs to another life now.
      if (isNotFound(error) || (error instanceof ApiError && error.status === 409)) return 'gone';
      throw error;
    }
  }

  async read(key: Key, signal: AbortSignal): Promise<KubeObject | undefined> {
    const {client, discovery} = this.#options;
    try {
      const {body} = await client.send({method: 'GET', path: await discovery.objectPath(key, signal), signal});
      // A GET of an object path answers that object.
      return clean(body as KubeObject, key);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** The owner is gone and its objects with it. */
  forget(ownerUid: string): void {
    this.#memory.delete(ownerUid);
    this.#repairs.delete(ownerUid);
  }

  async #apply(desired: Desired, key: Key, owner: ObjectRef, signal: AbortSignal): Promise<Applied> {
    const {identity, caches} = this.#options;
    refuseReplicas(desired);
    const live = caches.getWhole(key) ?? (await this.read(key, signal));
    if (live !== undefined) {
      const stranger = strangerOf(live, desired, owner, identity);
      if (stranger !== undefined) throw new ApplyRefused('conflict', key, stranger);
      if (live.metadata.deletionTimestamp !== undefined) {
        throw new Error(`${describeKey(key)} is still being deleted: waiting until it is gone`);
      }
    }
    const isOnce = desired.generated !== undefined || (desired.onceFields?.length ?? 0) > 0;
    const wish = isOnce ? without(desired, desired.onceFields ?? []) : desired;
    const hash = fingerprint(signed(wish, owner, identity, ''));
    const memory = this.#memory.get(owner.uid) ?? new Map<string, Memory>();
    this.#memory.set(owner.uid, memory);
    const remembered = memory.get(keyText(key));
    const repaired = remembered?.hash === hash;
    if (live === undefined) {
      if (repaired) this.#takeRepair(key, owner);
      if (isOnce) await this.#create(desired, owner, signal);
      const created = await this.#patch(signed(wish, owner, identity, hash), identity.manager, signal);
      memory.set(keyText(key), this.#memoryOf(hash, created, wish.manifest));
      await this.#scale(desired, created, signal);
      return {kind: 'created', repaired};
    }
    const filled = await this.#fillSecret(desired, live, signal);
    const manifest = signed(wish, owner, identity, hash);
    let current = filled;
    const now = this.#memoryOf(hash, current, wish.manifest);
    // After a restart nothing is remembered: the annotation says that this very wish was applied, the object that nothing of it was undone.
    const isDone = remembered === undefined ? covers(current, manifest) : isSettled(remembered, now);
    if (!isDone) {
      if (repaired) this.#takeRepair(key, owner);
      try {
        current = await this.#patch(manifest, identity.manager, signal);
      } catch (error) {
        const refused = refusalOf(error, key);
        if (refused?.kind === 'immutable') memory.set(keyText(key), {...now, refused});
        throw error;
      }
    }
    memory.set(keyText(key), this.#memoryOf(hash, current, wish.manifest));
    current = await this.#scale(desired, current, signal);
    const kind: ApplyResult =
      current.metadata.resourceVersion === live.metadata.resourceVersion ? 'unchanged' : 'configured';
    return {kind, repaired: kind === 'configured' && repaired};
  }

  #takeRepair(key: Key, owner: ObjectRef): void {
    const nowMs = this.#options.clock.monotonicMs();
    const buckets = this.#repairs.get(owner.uid) ?? new Map<string, TokenBucket>();
    this.#repairs.set(owner.uid, buckets);
    const bucket = buckets.get(keyText(key)) ?? new TokenBucket(REPAIRS, nowMs);
    buckets.set(keyText(key), bucket);
    if (bucket.take(nowMs)) return;
    throw new ApplyRefused(
      'contested',
      key,
      'somebody else changes or deletes it as often as it is put right, which is now done once a minute; --show-managed-fields tells who',
    );
  }

  #memoryOf(hash: string, live: KubeObject, wish: Manifest): Memory {
    const {labels, annotations, ...metadata} = wish.metadata;
    const {identity} = this.#options;
    const places = {
      ...wish,
      metadata: {
        ...metadata,
        labels: {...labels, [MANAGED_BY]: '', [identity.resourceLabel]: ''},
        annotations: {...annotations, [identity.appliedAnnotation]: ''},
        ownerReferences: [],
      },
    };
    return {uid: live.metadata.uid, hash, live: fingerprint(project(live, places))};
  }

  async #patch(manifest: Manifest, fieldManager: string, signal: AbortSignal): Promise<KubeObject> {
    const {client, discovery, caches} = this.#options;
    const key = keyOf(manifest);
    const {body} = await client.send({
      method: 'PATCH',
      path: await discovery.objectPath(key, signal),
      query: {fieldManager, force: 'true', fieldValidation: 'Strict'},
      contentType: 'application/apply-patch+yaml',
      body: manifest,
      signal,
    });
    // A successful apply answers the object.
    const object = clean(body as KubeObject, key);
    caches.assume(object);
    return object;
  }

  /**
   * A plain POST: it fails if the object appears in between, where apply would overwrite values that must live for ever. Of the metadata it
   * says only whose the object is; the apply that follows says the rest. What a POST says, no later apply can take back: an
   * ownerReference, for example, when the object shall from now on outlive its owner.
   */
  async #create(desired: Desired, owner: ObjectRef, signal: AbortSignal): Promise<void> {
    const {client, discovery, caches, identity} = this.#options;
    const key = keyOf(desired.manifest);
    const {name, namespace} = desired.manifest.metadata;
    const labels = {[MANAGED_BY]: identity.manager, [identity.resourceLabel]: owner.name};
    const metadata = {name, ...(namespace === undefined ? {} : {namespace}), labels};
    const manifest: Manifest = {...desired.manifest, metadata};
    const generated = this.#generate(desired, {});
    const {body} = await client.send({
      method: 'POST',
      path: await discovery.collectionPath(key, key.namespace, signal),
      query: {fieldManager: identity.manager, fieldValidation: 'Strict'},
      body:
        Object.keys(generated).length === 0
          ? manifest
          : {...manifest, data: {...recordOf(manifest['data']), ...generated}},
      signal,
    });
    // A successful create answers the object.
    caches.assume(clean(body as KubeObject, key));
  }

  async #fillSecret(desired: Desired, live: KubeObject, signal: AbortSignal): Promise<KubeObject> {
    const missing = this.#generate(desired, recordOf(live['data']));
    if (Object.keys(missing).length === 0) return live;
    const {client, discovery, caches, identity} = this.#options;
    const key = keyOf(desired.manifest);
    const {body} = await client.send({
      method: 'PATCH',
      path: await discovery.objectPath(key, signal),
      query: {fieldManager: identity.manager},
      contentType: 'application/merge-patch+json',
      // The version makes it fail rather than overwrite a value that somebody adds at the same moment.
      body: {metadata: {resourceVersion: live.metadata.resourceVersion}, data: missing},
      signal,
    });
    // A successful patch answers the object.
    const object = clean(body as KubeObject, key);
    caches.assume(object);
    return object;
  }

  #generate(desired: Desired, existing: Readonly<Record<string, unknown>>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(desired.generated ?? {})
        .filter(([name]) => existing[name] === undefined)
        .map(([name, {bytes, encoding}]) => [
          name,
          Buffer.from(this.#options.randomText(bytes, encoding)).toString('base64'),
        ]),
    );
  }

  /**
   * `spec.replicas` is a second field manager's, so that the first never has to drop it: a field whose last owner drops it falls
   * back to its default of 1. For the same reason nothing is sent when an autoscaler takes over; its first write takes the field.
   */
  async #scale(desired: Desired, live: KubeObject, signal: AbortSignal): Promise<KubeObject> {
    const {replicas, manifest} = desired;
    if (typeof replicas !== 'number' || recordOf(live['spec'])['replicas'] === replicas) return live;
    const {apiVersion, kind, metadata} = manifest;
    const target = {name: metadata.name, ...(metadata.namespace === undefined ? {} : {namespace: metadata.namespace})};
    const manager = `${this.#options.identity.manager}-scale`;
    return this.#patch({apiVersion, kind, metadata: target, spec: {replicas}}, manager, signal);
  }
}

/** Throws the refusal again while nothing changed that could lift it. */
const isSettled = (remembered: Memory, now: Memory): boolean => {
  const isSame = remembered.uid === now.uid && remembered.hash === now.hash && remembered.live === now.live;
  if (isSame && remembered.refused !== undefined) throw remembered.refused;
  return isSame;
};

const refuseReplicas = ({manifest, replicas}: Desired): void => {
  if (replicas !== undefined && recordOf(manifest['spec'])['replicas'] !== undefined) {
    throw new Error(`${describeKey(keyOf(manifest))}: replicas must be given beside the manifest or in it, not both`);
  }
};

const without = (desired: Desired, fields: readonly string[]): Desired => ({
  ...desired,
  // Only optional top-level fields are left out; apiVersion, kind and metadata stay.
  manifest: Object.fromEntries(Object.entries(desired.manifest).filter(([name]) => !fields.includes(name))) as Manifest,
});

const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? {...value} : {};
