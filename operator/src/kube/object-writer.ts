import {type ApiClient, type ApiRequest} from './api-client.ts';
import {type Caches} from './caches.ts';
import {type DeletePrecondition, type Desired} from './controller.ts';
import {type Discovery} from './discovery.ts';
import {ApiError, isNotFound} from './errors.ts';
import {MANAGED_BY, type Identity} from './identity.ts';
import {claim, type FieldSet, type ManagedFields} from './managed-fields.ts';
import {keyOf, type Key, type KubeObject, type Manifest, type ObjectRef, recordOf} from './object.ts';
import {clean} from './clean.ts';

export interface ObjectWriterOptions {
  readonly client: ApiClient;
  readonly discovery: Discovery;
  readonly caches: Caches;
  readonly identity: Identity;
  /** Random text for generated Secret values. */
  readonly randomText: (bytes: number, encoding: 'base64url' | 'hex') => string;
}

/** The single requests that change objects. Each tells the caches what came of it. */
export class ObjectWriter {
  readonly #options: ObjectWriterOptions;

  constructor(options: ObjectWriterOptions) {
    this.#options = options;
  }

  async read(key: Key, signal: AbortSignal): Promise<KubeObject | undefined> {
    const raw = await this.#readRaw(key, signal);
    return raw === undefined ? undefined : clean(raw, key, this.#options.identity);
  }

  async delete(key: Key, precondition: DeletePrecondition, signal: AbortSignal): Promise<'deleted' | 'gone'> {
    const {client, discovery, caches, identity} = this.#options;
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
          propagationPolicy: 'Background',
          preconditions: {uid: precondition.uid},
        },
        signal,
      });
      if (known?.metadata.uid !== precondition.uid) return 'deleted';
      // The object itself while finalizers hold it, otherwise a Status.
      const left = body as KubeObject;
      if (left.kind !== key.kind) caches.assumeGone(known);
      else caches.assume(known.metadata.partial === true ? asLeft(known, left) : clean(left, key, identity));
      return 'deleted';
    } catch (error) {
      if (isNotFound(error)) return 'gone';
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      // The name may belong to another life now; or somebody will not have this one deleted.
      const left = await this.#readRaw(key, signal);
      if (left?.metadata.uid === precondition.uid) throw error;
      return 'gone';
    }
  }

  /** Server-side apply; what others claim of these fields is taken from them. */
  async apply(manifest: Manifest, fieldManager: string, signal: AbortSignal): Promise<KubeObject> {
    const key = keyOf(manifest);
    return this.#write(
      key,
      {
        method: 'PATCH',
        path: await this.#options.discovery.objectPath(key, signal),
        query: {fieldManager, force: 'true', fieldValidation: 'Strict'},
        contentType: 'application/apply-patch+yaml',
        body: manifest,
      },
      signal,
    );
  }

  /**
   * Takes over what somebody else has `added`, so that the apply that must follow removes it. The hash of what was applied goes away at the same moment:
   * should that apply not happen, this object is not taken for done.
   */
  async claim(live: KubeObject, added: FieldSet, signal: AbortSignal): Promise<void> {
    const {identity, discovery} = this.#options;
    const key = keyOf(live);
    const raw = await this.#readRaw(key, signal);
    if (raw?.metadata.uid !== live.metadata.uid) return;
    // Of the server, which always has it as a list.
    const {managedFields = []} = raw.metadata as {readonly managedFields?: readonly ManagedFields[]};
    await this.#write(
      key,
      {
        method: 'PATCH',
        path: await discovery.objectPath(key, signal),
        query: {fieldManager: identity.manager},
        contentType: 'application/merge-patch+json',
        body: {
          metadata: {
            resourceVersion: raw.metadata.resourceVersion,
            managedFields: claim(managedFields, added, identity.manager, live),
            annotations: {[identity.appliedAnnotation]: null},
          },
        },
      },
      signal,
    );
  }

  /**
   * A plain POST: it fails if the object appears in between, where apply would overwrite values that must live for ever. Of the metadata it
   * says only whose the object is; the apply that follows says the rest. What a POST says, no later apply can take back: an
   * ownerReference, for example, when the object shall from now on outlive its owner.
   */
  async create(desired: Desired, owner: ObjectRef, signal: AbortSignal): Promise<void> {
    const {discovery, identity} = this.#options;
    const key = keyOf(desired.manifest);
    const {name, namespace} = desired.manifest.metadata;
    const labels = {[MANAGED_BY]: identity.manager, [identity.resourceLabel]: owner.name};
    const metadata = {name, ...(namespace === undefined ? {} : {namespace}), labels};
    const manifest: Manifest = {...desired.manifest, metadata};
    const generated = this.#generate(desired, {});
    await this.#write(
      key,
      {
        method: 'POST',
        path: await discovery.collectionPath(key, key.namespace, signal),
        query: {fieldManager: identity.manager, fieldValidation: 'Strict'},
        body:
          Object.keys(generated).length === 0
            ? manifest
            : {...manifest, data: {...recordOf(manifest['data']), ...generated}},
      },
      signal,
    );
  }

  /** Adds the generated values that a Secret lacks. */
  async fill(desired: Desired, live: KubeObject, signal: AbortSignal): Promise<KubeObject> {
    const missing = this.#generate(desired, recordOf(live['data']));
    if (Object.keys(missing).length === 0) return live;
    const {discovery, identity} = this.#options;
    const key = keyOf(desired.manifest);
    return this.#write(
      key,
      {
        method: 'PATCH',
        path: await discovery.objectPath(key, signal),
        query: {fieldManager: identity.manager},
        contentType: 'application/merge-patch+json',
        // The version makes it fail rather than overwrite a value that somebody adds at the same moment.
        body: {metadata: {resourceVersion: live.metadata.resourceVersion}, data: missing},
      },
      signal,
    );
  }

  #generate(desired: Desired, existing: Readonly<Record<string, unknown>>): Record<string, string> {
    return Object.fromEntries(
      lacking(desired, existing).map(([name, {bytes, encoding}]) => [
        name,
        Buffer.from(this.#options.randomText(bytes, encoding)).toString('base64'),
      ]),
    );
  }

  async #write(key: Key, call: Omit<ApiRequest, 'signal'>, signal: AbortSignal): Promise<KubeObject> {
    const {client, caches, identity} = this.#options;
    const {body} = await client.send({...call, signal});
    // A successful create or patch answers the object.
    const object = clean(body as KubeObject, key, identity);
    caches.assume(object);
    return object;
  }

  async #readRaw(key: Key, signal: AbortSignal): Promise<KubeObject | undefined> {
    const {client, discovery} = this.#options;
    try {
      const {body} = await client.send({method: 'GET', path: await discovery.objectPath(key, signal), signal});
      // A GET of an object path answers that object.
      return body as KubeObject;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}

/** Of an object of which a part is kept no more is kept because it is being deleted. */
const asLeft = (known: KubeObject, {metadata: {resourceVersion, deletionTimestamp}}: KubeObject): KubeObject => ({
  ...known,
  metadata: {...known.metadata, resourceVersion, ...(deletionTimestamp === undefined ? {} : {deletionTimestamp})},
});

/** The generated values of a Secret that `existing` does not have. */
export const lacking = ({generated = {}}: Desired, existing: Readonly<Record<string, unknown>>) =>
  Object.entries(generated).filter(([name]) => existing[name] === undefined);
