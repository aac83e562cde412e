import {controllerOf, type KubeObject} from './object.ts';
import {type ResourceName, type WatchSpec} from './controller.ts';

export type Change =
  | {readonly kind: 'added' | 'deleted'; readonly object: KubeObject}
  | {readonly kind: 'modified'; readonly object: KubeObject; readonly previous: KubeObject};

interface Entry {
  readonly object: KubeObject;
  /** Put there by our own write; the watch has not shown it yet. */
  readonly assumed: boolean;
}

/**
 * What the server has of one kind, as far as we know: fed by a reflector, and at once by our own writes, so that the next pass
 * reads what this one wrote (an informer alone may lag behind and make a controller repeat itself).
 */
export class Store {
  readonly #entries = new Map<string, Entry>();
  readonly #byResource = new Map<string, Set<string>>();
  readonly #concerns: (object: KubeObject) => readonly ResourceName[];
  readonly #onChange: (change: Change) => void;
  /** The newest version that the server has told of, of whatever object: what it did up to there is known. */
  #seen: string | undefined;

  constructor(spec: Pick<WatchSpec, 'concerns' | 'kind'>, onChange: (change: Change) => void) {
    this.#concerns = spec.concerns ?? controllersOf;
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#entries.get(slotOf(namespace, name))?.object;
  }

  list(namespace?: string): readonly KubeObject[] {
    const all = [...this.#entries.values()].map(({object}) => object);
    return namespace === undefined ? all : all.filter(({metadata}) => metadata.namespace === namespace);
  }

  belongingTo(resource: ResourceName): readonly KubeObject[] {
    const slots = this.#byResource.get(slotOf(resource.namespace, resource.name)) ?? [];
    return [...slots].flatMap((slot) => this.#entries.get(slot)?.object ?? []);
  }

  concernsOf(object: KubeObject): readonly ResourceName[] {
    return this.#concerns(object);
  }

  /** An event of the watch. An older version than the known one of the same life is an echo of what we wrote: ignored. */
  put(object: KubeObject): void {
    this.#see(object);
    const slot = slotOf(object.metadata.namespace, object.metadata.name);
    const known = this.#entries.get(slot);
    if (known === undefined) {
      this.#set(slot, object, false);
      this.#onChange({kind: 'added', object});
    } else if (known.object.metadata.uid !== object.metadata.uid && known.assumed && !isNewer(object, known.object)) {
      // Of a life that ended before ours of that name began.
      return;
    } else if (known.object.metadata.uid !== object.metadata.uid) {
      this.#drop(slot);
      this.#onChange({kind: 'deleted', object: known.object});
      this.#set(slot, object, false);
      this.#onChange({kind: 'added', object});
    } else if (isNewer(object, known.object)) {
      this.#set(slot, object, false);
      this.#onChange({kind: 'modified', object, previous: known.object});
    } else if (known.assumed && known.object.metadata.resourceVersion === object.metadata.resourceVersion) {
      this.#set(slot, known.object, false);
    }
  }

  /** An object that is gone. Another life of the same name stays. */
  remove(object: KubeObject): void {
    this.#see(object);
    const slot = slotOf(object.metadata.namespace, object.metadata.name);
    if (this.#entries.get(slot)?.object.metadata.uid !== object.metadata.uid) return;
    this.#drop(slot);
    this.#onChange({kind: 'deleted', object});
  }

  /**
   * The result of our own write: kept until the watch shows it or something newer. Nobody is told: whoever wrote knows.
   *
   * The answer may come after what the watch tells of a later time. Of an object that is not here, a version up to which everything is known is one that
   * was deleted since: kept, it would stay for ever, because its deletion is told once.
   */
  assume(object: KubeObject): void {
    const slot = slotOf(object.metadata.namespace, object.metadata.name);
    const known = this.#entries.get(slot)?.object;
    if (known === undefined ? this.#seen !== undefined && !isLater(object, this.#seen) : !isNewer(object, known))
      return;
    this.#set(slot, object, true);
  }

  /** All of an object of which a part was kept. */
  complete(object: KubeObject): void {
    const slot = slotOf(object.metadata.namespace, object.metadata.name);
    const known = this.#entries.get(slot);
    const isSame = known?.object.metadata.resourceVersion === object.metadata.resourceVersion;
    if (known !== undefined && isSame) this.#set(slot, object, known.assumed);
    else this.assume(object);
  }

  /**
   * A complete list. What it lacks was deleted while nobody looked, except our own writes that are newer than the list; unless the list is older than what was
   * seen before, because the cluster was restored from a backup: then nothing that is newer exists any more.
   */
  replace(objects: readonly KubeObject[], resourceVersion: string): void {
    const isRolledBack = this.#seen !== undefined && compareVersions(resourceVersion, this.#seen) < 0;
    this.#seen = resourceVersion;
    const listed = new Set(objects.map(({metadata}) => slotOf(metadata.namespace, metadata.name)));
    for (const [slot, entry] of [...this.#entries]) {
      if (listed.has(slot)) continue;
      if (!isRolledBack && entry.assumed && isLater(entry.object, resourceVersion)) {
        this.#set(slot, entry.object, false);
        continue;
      }
      this.#drop(slot);
      this.#onChange({kind: 'deleted', object: entry.object});
    }
    for (const object of objects) {
      const slot = slotOf(object.metadata.namespace, object.metadata.name);
      const known = this.#entries.get(slot);
      const isSame = known?.object.metadata.resourceVersion === object.metadata.resourceVersion;
      if (isSame || (!isRolledBack && known?.assumed === true && !isNewer(object, known.object))) continue;
      // Versions may go backwards: the list is right, whatever its numbers.
      if (known !== undefined && known.object.metadata.uid === object.metadata.uid) {
        this.#set(slot, object, false);
        this.#onChange({kind: 'modified', object, previous: known.object});
      } else {
        this.put(object);
      }
    }
  }

  /** The kind itself is gone, and every object of it. */
  clear(): void {
    for (const [slot, {object}] of [...this.#entries]) {
      this.#drop(slot);
      this.#onChange({kind: 'deleted', object});
    }
  }

  #see({metadata}: KubeObject): void {
    if (this.#seen === undefined || compareVersions(metadata.resourceVersion, this.#seen) > 0) {
      this.#seen = metadata.resourceVersion;
    }
  }

  #set(slot: string, object: KubeObject, assumed: boolean): void {
    this.#unindex(slot);
    this.#entries.set(slot, {object, assumed});
    for (const resource of this.#concerns(object)) {
      const owner = slotOf(resource.namespace, resource.name);
      const slots = this.#byResource.get(owner) ?? new Set<string>();
      this.#byResource.set(owner, slots.add(slot));
    }
  }

  #drop(slot: string): void {
    this.#unindex(slot);
    this.#entries.delete(slot);
  }

  #unindex(slot: string): void {
    const old = this.#entries.get(slot)?.object;
    if (old === undefined) return;
    for (const resource of this.#concerns(old)) {
      const owner = slotOf(resource.namespace, resource.name);
      const slots = this.#byResource.get(owner);
      slots?.delete(slot);
      if (slots?.size === 0) this.#byResource.delete(owner);
    }
  }
}

const slotOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;

const controllersOf = (object: KubeObject): readonly ResourceName[] => {
  const owner = controllerOf(object);
  return owner === undefined ? [] : [{namespace: object.metadata.namespace ?? '', name: owner.name}];
};

const isLater = (object: KubeObject, version: string): boolean =>
  compareVersions(object.metadata.resourceVersion, version) > 0;

const isNewer = (a: KubeObject, b: KubeObject): boolean => isLater(a, b.metadata.resourceVersion);

/**
 * Orders resource versions of one kind: decimal numbers (documented as comparable since Kubernetes 1.35, KEP-5504, and true of
 * etcd always). A server that sends anything else counts every different version as newer.
 */
export const compareVersions = (a: string, b: string): number => {
  if (a === b) return 0;
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return 1;
  return a.length === b.length ? (a < b ? -1 : 1) : a.length - b.length;
};
