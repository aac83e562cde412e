import {covers, QUANTITIES} from './fingerprint.ts';

/**
 * Who owns which field, as the server records it (`metadata.managedFields`). It tells what somebody else has added to an object of ours from what the server
 * put there by itself (defaults, an allocated address: nobody owns those), also after this process was started anew.
 */

/** Paths of fields as `fieldsV1` has them: `{"f:spec": {"f:selector": {}}}`. An empty one is a field that is owned whole. */
export interface FieldSet {
  readonly [step: string]: FieldSet;
}

/** An entry of `metadata.managedFields`. */
export interface ManagedFields {
  readonly manager?: string;
  readonly operation?: string;
  readonly apiVersion?: string;
  readonly subresource?: string;
  readonly fieldsV1?: FieldSet;
  readonly [more: string]: unknown;
}

/** Fields that other controllers own by right, by kind. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  // Written by the token controller and by OpenShift's.
  ServiceAccount: ['f:secrets', 'f:imagePullSecrets'],
};

/** Owns every field of an object that had no records before its first apply, defaults too. */
const NOBODY = 'before-first-apply';

/** Labels and annotations, of pods too (`kubectl rollout restart` writes one), may be anybody's. */
const BOOKKEEPING = new Set(['f:metadata', 'f:status', 'f:apiVersion', 'f:kind']);

const isOthers = ({manager, subresource}: ManagedFields, ours: string): boolean =>
  // Through a subresource come statuses and what an autoscaler or `kubectl scale` sets.
  subresource === undefined && manager !== NOBODY && manager !== ours && manager !== `${ours}-scale`;

/**
 * No field of a kind that we write lies deeper (a label selector of a volume of a pod template has 13 steps). Whoever may write an object may record that he
 * owns any field, at a depth at which nothing that calls itself comes back.
 */
const DEEPEST = 32;

/** What others than `ours` own of an object, apart from bookkeeping; undefined when that is nothing. */
export const ownedByOthers = (entries: readonly ManagedFields[], ours: string, kind: string): FieldSet | undefined => {
  const all: Fields = {};
  for (const entry of entries) if (isOthers(entry, ours)) addFields(all, entry.fieldsV1 ?? {}, OTHERS[kind] ?? []);
  return isEmpty(all) ? undefined : all;
};

interface Fields {
  [step: string]: Fields;
}

/** Adds to a set in place: an object may have been written by ten thousand. */
const addFields = (all: Fields, set: FieldSet, more: readonly string[] = [], depth = 1): void => {
  for (const [step, below] of Object.entries(set)) {
    if (BOOKKEEPING.has(step) || more.includes(step)) continue;
    const known = all[step];
    const found = known ?? {};
    if (depth < DEEPEST) addFields(found, below, [], depth + 1);
    // Not a field of which only bookkeeping was owned.
    if (known === undefined && (isEmpty(below) || depth === DEEPEST || !isEmpty(found))) all[step] = found;
  }
};

/** What somebody else's fields do to an object of ours. */
export interface Strays {
  /** Fields that we do not want at all. */
  readonly added: FieldSet;
  /** Somebody owns a field that we want otherwise, and a comparison at the places that we speak about may not see it: a map or list that is owned whole. */
  readonly replaced: boolean;
}

/**
 * Two lists of five hundred items, all of them looked for. Whoever may write an object may put so many into a list, and record so many others, that to look for each
 * takes minutes in which nothing else is done.
 */
const MOST_COMPARISONS = 250_000;

/**
 * Compares the fields that others own with what is wanted. `free` are paths (`f:data`) that we have no opinion on. Throws if it takes too long.
 */
export const straysOf = (
  others: FieldSet | undefined,
  live: unknown,
  wish: unknown,
  free: readonly FieldSet[] = [],
): Strays => {
  const claimed = free.reduce((set, other) => subtract(set, other), others ?? {});
  let replaced = false;
  let compared = 0;
  const isSame = (a: unknown, b: unknown): boolean => {
    if (compared++ >= MOST_COMPARISONS) throw new Error('others record too many fields of it to be compared');
    return a === b;
  };
  const walk = (set: FieldSet, here: unknown, wanted: unknown, isQuantity: boolean): FieldSet =>
    Object.fromEntries(
      Object.entries(set).flatMap(([step, below]): [string, FieldSet][] => {
        if (step === '.') return [];
        const [is, shall] = [memberAt(here, step, isSame), memberAt(wanted, step, isSame)];
        if (is === undefined) return [];
        if (shall === undefined) return [[step, below]];
        const quantity = isQuantity || QUANTITIES.has(step.slice(2));
        if (isEmpty(below)) {
          replaced ||= !covers(is, shall, quantity) || !covers(shall, is, quantity);
          return [];
        }
        const found = walk(below, is, shall, quantity);
        return isEmpty(found) ? [] : [[step, found]];
      }),
    );
  const added = walk(claimed, live, wish, false);
  return {added, replaced};
};

/** Not what every object has, such as `constructor`: people name keys as they like. */
const ownMember = (map: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(map, name) ? map[name] : undefined;

/** What a step of a path leads to: `f:name` in a map, `k:{"name":"x"}`, `v:"x"` or `i:0` in a list. */
const memberAt = (value: unknown, step: string, isSame: (a: unknown, b: unknown) => boolean): unknown => {
  const [how, what] = [step.slice(0, 2), step.slice(2)];
  if (how === 'f:') return isMap(value) ? ownMember(value, what) : undefined;
  if (!Array.isArray(value)) return undefined;
  if (how === 'i:') return value[Number(what)];
  const wanted: unknown = JSON.parse(what);
  if (how !== 'k:') return value.find((item: unknown) => isSame(item, wanted));
  const keys = isMap(wanted) ? Object.entries(wanted) : [];
  return value.find(
    (item: unknown) =>
      keys.length > 0 &&
      isMap(item) &&
      // A part of a key may be a default that the manifest leaves out, such as the protocol of a port.
      keys.every(([key, text]) => isSame(ownMember(item, key) ?? text, text)),
  );
};

/**
 * The records as if we had applied `added` ourselves: the next apply, which does not have these fields, then removes them, with everything that the server
 * knows about their kind (this is how client-go's csaupgrade moves an object from one way of writing to another).
 */
export const claim = (
  entries: readonly ManagedFields[],
  added: FieldSet,
  ours: string,
  {apiVersion}: {readonly apiVersion: string},
): readonly ManagedFields[] => {
  const isOurs = ({manager, operation, subresource}: ManagedFields): boolean =>
    manager === ours && operation === 'Apply' && subresource === undefined;
  const mine = entries.find(isOurs) ?? {manager: ours, operation: 'Apply', apiVersion, fieldsType: 'FieldsV1'};
  const rest = entries
    .filter((entry) => !isOurs(entry))
    .map((entry) => (isOthers(entry, ours) ? {...entry, fieldsV1: subtract(entry.fieldsV1 ?? {}, added)} : entry))
    .filter(({fieldsV1}) => !isEmpty(fieldsV1 ?? {}));
  return [...rest, {...mine, fieldsV1: union(mine.fieldsV1 ?? {}, added)}];
};

const union = (a: FieldSet, b: FieldSet): FieldSet => ({
  ...a,
  ...Object.fromEntries(Object.entries(b).map(([step, below]) => [step, union(a[step] ?? {}, below)])),
});

/** `a` without what is at or below the leaves of `b`. */
const subtract = (a: FieldSet, b: FieldSet): FieldSet =>
  Object.fromEntries(
    Object.entries(a).flatMap(([step, below]): [string, FieldSet][] => {
      const other = b[step];
      if (other === undefined) return [[step, below]];
      if (isEmpty(other) || isEmpty(below)) return [];
      const left = subtract(below, other);
      return isEmpty(left) ? [] : [[step, left]];
    }),
  );

const isEmpty = (set: FieldSet): boolean => Object.keys(set).length === 0;

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
