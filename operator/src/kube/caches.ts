import {type ResourceName, type WatchSpec} from './controller.ts';
import {keyOf, type Key, type Kind, type KubeObject} from './object.ts';
import {Store, type Change} from './store.ts';

/** One watched kind and what is known of it. */
export interface Cache {
  readonly spec: WatchSpec;
  /** Absent: all namespaces. */
  readonly namespace: string | undefined;
  readonly store: Store;
}

/** All watched kinds, asked by key. */
export class Caches {
  readonly #caches: readonly Cache[];

  /** `namespaces` empty: all of them. A store is filled by one list, so every watched namespace has its own. */
  constructor(
    specs: readonly WatchSpec[],
    namespaces: readonly string[],
    onChange: (change: Change, cache: Cache) => void,
  ) {
    const scopes = namespaces.length === 0 ? [undefined] : namespaces;
    this.#caches = specs.flatMap((spec) =>
      scopes.map((namespace) => {
        const cache: Cache = {spec, namespace, store: new Store(spec, (change) => onChange(change, cache))};
        return cache;
      }),
    );
  }

  [Symbol.iterator](): IterableIterator<Cache> {
    return this.#caches[Symbol.iterator]();
  }

  get(key: Key): KubeObject | undefined {
    return this.#of(key)
      .find(({store}) => store.get(key.namespace, key.name) !== undefined)
      ?.store.get(key.namespace, key.name);
  }

  /** Whether it is known to exist, in this life. */
  has(object: KubeObject): boolean {
    return this.get(keyOf(object))?.metadata.uid === object.metadata.uid;
  }

  /** The whole object, never one of which a part is kept. */
  getWhole(key: Key): KubeObject | undefined {
    for (const {store} of this.#of(key)) {
      const object = store.get(key.namespace, key.name);
      if (object !== undefined && object.metadata.partial !== true) return object;
    }
    return undefined;
  }

  list(kind: Kind): readonly KubeObject[] {
    return this.#of(kind).flatMap(({store}) => store.list());
  }

  belongingTo(resource: ResourceName): readonly KubeObject[] {
    return this.#caches.flatMap(({store}) => store.belongingTo(resource));
  }

  /** Objects of a resource of which only a part is kept, because they came before it did, or before it was as it is. */
  lacking(owner: KubeObject): readonly KubeObject[] {
    const resource = {namespace: owner.metadata.namespace ?? '', name: owner.metadata.name};
    return this.#caches.flatMap(({spec, store}) =>
      store
        .belongingTo(resource)
        .filter((object) => object.metadata.partial === true && spec.keep?.isWhole(object, () => owner) === true),
    );
  }

  /** See {@link Store.complete}. */
  complete(object: KubeObject): void {
    for (const {namespace, store} of this.#of(object)) {
      if ((namespace ?? object.metadata.namespace) === object.metadata.namespace) store.complete(object);
    }
  }

  /** Our own write; see {@link Store.assume}. */
  assume(object: KubeObject): void {
    for (const {spec, namespace, store} of this.#of(object)) {
      if ((namespace ?? object.metadata.namespace) !== object.metadata.namespace) continue;
      const isKnown = store.get(object.metadata.namespace, object.metadata.name) !== undefined;
      if (isKnown || selects(spec.labelSelector, object)) store.assume(object);
    }
  }

  assumeGone(object: KubeObject): void {
    for (const {store} of this.#of(keyOf(object))) store.remove(object);
  }

  #of(kind: Kind): readonly Cache[] {
    return this.#caches.filter(({spec}) => spec.kind === kind.kind && spec.apiVersion === kind.apiVersion);
  }
}

/** Equality selectors (`a=b,c=d`), the only ones the engine's own writes have to be matched with. */
const selects = (selector: string | undefined, object: KubeObject): boolean =>
  (selector ?? '')
    .split(',')
    .filter((term) => term !== '')
    .every((term) => {
      const [label = '', value = ''] = term.split('=');
      return object.metadata.labels?.[label] === value;
    });
