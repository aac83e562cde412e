import {type ApiClient} from './api-client.ts';
import {type Applier} from './applier.ts';
import {type Caches} from './caches.ts';
import {type Applied, type Cluster, type DeletePrecondition, type Desired} from './controller.ts';
import {type Discovery} from './discovery.ts';
import {CHANGED_RETRY_MS, fateOf, Wait} from './errors.ts';
import {fingerprint} from './fingerprint.ts';
import {type Identity} from './identity.ts';
import {describeKey, keyOf, type Key, type Kind, type KubeObject, type ObjectRef} from './object.ts';
import {type ObjectWriter} from './object-writer.ts';
import {clean} from './clean.ts';

export interface ApiClusterOptions {
  readonly client: ApiClient;
  readonly discovery: Discovery;
  readonly caches: Caches;
  readonly applier: Applier;
  readonly writer: ObjectWriter;
  readonly identity: Identity;
  readonly followedMs: Cluster['followedMs'];
  readonly unseen: Cluster['unseen'];
}

const kindOf = ({apiVersion, kind}: Kind): Kind => ({apiVersion, kind});

/** Server-side apply of `{}` over a map whose members we own stores null, which the schema then refuses; a map that is left out is removed. */
const withoutEmptyMaps = (value: unknown): unknown =>
  typeof value !== 'object' || value === null || Array.isArray(value)
    ? value
    : Object.fromEntries(
        Object.entries(value)
          .map(([key, member]) => [key, withoutEmptyMaps(member)] as const)
          .filter(([, member]) => !isEmptyMap(member)),
      );

const isEmptyMap = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;

/** The port to Kubernetes on a real API server. */
export class ApiCluster implements Cluster {
  readonly #options: ApiClusterOptions;
  /** By uid: the status we wrote last and what the server made of it (defaults, rounded numbers). */
  readonly #statuses = new Map<string, {readonly wish: string; readonly live: string}>();

  constructor(options: ApiClusterOptions) {
    this.#options = options;
  }

  async read(key: Key, signal: AbortSignal): Promise<KubeObject | undefined> {
    const {caches, writer} = this.#options;
    return caches.getWhole(key) ?? writer.read(key, signal);
  }

  async listOwned(owner: KubeObject, signal: AbortSignal): Promise<readonly KubeObject[]> {
    const {caches, writer} = this.#options;
    // One after the other: each may have a megabyte.
    for (const part of caches.lacking(owner)) {
      const whole = await writer.read(keyOf(part), signal);
      if (whole !== undefined) caches.complete(whole);
    }
    return caches.belongingTo({namespace: owner.metadata.namespace ?? '', name: owner.metadata.name});
  }

  listAll(kind: Kind, _signal: AbortSignal): Promise<readonly KubeObject[]> {
    return Promise.resolve(this.#options.caches.list(kind));
  }

  unseen(kind: Kind): readonly string[] {
    return this.#options.unseen(kind);
  }

  followedMs(kind: Kind, namespace: string): number {
    return this.#options.followedMs(kind, namespace);
  }

  async serves(kind: Kind, signal: AbortSignal): Promise<boolean> {
    return this.#options.discovery.serves(kind, signal);
  }

  async apply(desired: Desired, owner: ObjectRef, signal: AbortSignal): Promise<Applied> {
    return this.#options.applier.apply(desired, owner, signal);
  }

  async delete(key: Key, precondition: DeletePrecondition, signal: AbortSignal): Promise<'deleted' | 'gone'> {
    const {writer, applier} = this.#options;
    for (const basis of precondition.unchanged ?? []) {
      const live = await writer.read(basis.key, signal);
      if (live?.metadata.resourceVersion === basis.version) continue;
      throw new Error(
        `${describeKey(key)} stays, because ${describeKey(basis.key)} is not what it was: whether it may go is decided anew`,
      );
    }
    return applier.delete(key, precondition, signal);
  }

  async applyStatus(object: KubeObject, wanted: unknown, signal: AbortSignal): Promise<'configured' | 'unchanged'> {
    const status = withoutEmptyMaps(wanted);
    const {client, discovery, caches, identity} = this.#options;
    const key = keyOf(object);
    const {uid} = object.metadata;
    const wish = fingerprint(status);
    const cached = caches.getWhole(key);
    const current = cached?.metadata.uid === uid ? cached : object;
    const live = fingerprint(current['status']);
    const known = this.#statuses.get(uid);
    if (live === wish || (known?.wish === wish && known.live === live)) return 'unchanged';
    try {
      const {body} = await client.send({
        method: 'PATCH',
        path: `${await discovery.objectPath(key, signal)}/status`,
        query: {fieldManager: `${identity.manager}-status`, force: 'true', fieldValidation: 'Strict'},
        contentType: 'application/apply-patch+yaml',
        // The version keeps it from another life of the name. A change of the spec that the cache has seen meanwhile is no hindrance: what is said is
        // about the generation that it names.
        body: {
          ...kindOf(key),
          metadata: {name: key.name, namespace: key.namespace, resourceVersion: current.metadata.resourceVersion},
          status,
        },
        signal,
      });
      // A successful apply answers the object.
      const written = clean(body as KubeObject, key, identity);
      this.#statuses.set(uid, {wish, live: fingerprint(written['status'])});
      caches.assume(written);
      return 'configured';
    } catch (error) {
      const fate = fateOf(error, caches.has(object));
      if (fate === 'gone') return 'unchanged';
      if (fate === 'changed') {
        throw new Wait(`${describeKey(key)} changed during the pass: its status is decided anew`, CHANGED_RETRY_MS);
      }
      throw error;
    }
  }

  /** Sets or removes one finalizer of an object; answers the object as it is then, or undefined when it is gone, another one of its name included. */
  async setFinalizer(
    object: KubeObject,
    finalizer: string,
    isKept: boolean,
    signal: AbortSignal,
  ): Promise<KubeObject | undefined> {
    const {client, discovery, caches, identity} = this.#options;
    const key = keyOf(object);
    const current = caches.getWhole(key) ?? object;
    if (current.metadata.uid !== object.metadata.uid) return undefined;
    const existing = current.metadata.finalizers ?? [];
    if (existing.includes(finalizer) === isKept) return current;
    const finalizers = isKept ? [...existing, finalizer] : existing.filter((name) => name !== finalizer);
    try {
      const {body} = await client.send({
        method: 'PATCH',
        path: await discovery.objectPath(key, signal),
        contentType: 'application/merge-patch+json',
        // The version protects the finalizers of others; after a conflict the next pass decides anew.
        body: {metadata: {finalizers, resourceVersion: current.metadata.resourceVersion}},
        signal,
      });
      // A successful patch answers the object.
      const written = clean(body as KubeObject, key, identity);
      const isGone = written.metadata.deletionTimestamp !== undefined && finalizers.length === 0;
      if (isGone) caches.assumeGone(written);
      else caches.assume(written);
      return isGone ? undefined : written;
    } catch (error) {
      const fate = fateOf(error, caches.has(object));
      if (fate === 'gone') return undefined;
      if (fate === 'changed') {
        throw new Wait(`${describeKey(key)} changed before its finalizer could`, CHANGED_RETRY_MS);
      }
      throw error;
    }
  }

  forget(uid: string): void {
    this.#statuses.delete(uid);
    this.#options.applier.forget(uid);
  }
}
