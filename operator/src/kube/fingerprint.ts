import {createHash} from 'node:crypto';
import {stringify} from 'safe-stable-stringify';
import {quantityNanos} from './quantity.ts';

/** 128 bits of SHA-256, as hex: of the JSON with sorted keys, so that equal values have equal ones. */
export const fingerprint = (value: unknown): string =>
  createHash('sha256')
    .update(stringify(value) ?? '')
    .digest('hex')
    .slice(0, 32);

/**
 * What `live` has at the places that `desired` speaks about. Fields that others own (status, a foreign annotation, an
 * autoscaler's replicas, defaults) are not in it, so they may change freely; a list of another length is taken whole.
 */
export const project = (live: unknown, desired: unknown): unknown => {
  if (Array.isArray(desired) && Array.isArray(live) && desired.length === live.length) {
    return live.map((item, index) => project(item, desired[index]));
  }
  if (isObject(desired) && isObject(live)) {
    return Object.fromEntries(
      Object.keys(desired)
        .filter((key) => desired[key] !== undefined)
        .map((key) => [key, project(live[key], desired[key])]),
    );
  }
  return live;
};

/** Below these keys numbers are quantities, which the server rewrites: 1000m becomes 1. */
export const QUANTITIES: ReadonlySet<string> = new Set(['requests', 'limits', 'sizeLimit', 'averageValue', 'capacity']);

/** Whether `live` already has everything that `desired` says, apart from the spelling of quantities. */
export const covers = (live: unknown, desired: unknown, isQuantity = false): boolean =>
  uncovered(live, desired, isQuantity).length === 0;

/** Others may be owners as well. */
const OWNERS = 'metadata.ownerReferences';

/** The paths at which `live` does not have what `desired` says, e.g. `spec.containers[0].image`. */
export const uncovered = (live: unknown, desired: unknown, isQuantity = false, path = ''): readonly string[] => {
  if (desired === undefined) return [];
  if (Array.isArray(desired)) {
    if (!Array.isArray(live)) return [path];
    if (path === OWNERS) return desired.every((item) => live.some((other) => covers(other, item))) ? [] : [path];
    return live.length === desired.length
      ? desired.flatMap((item, index) => uncovered(live[index], item, isQuantity, `${path}[${index}]`))
      : [path];
  }
  if (isObject(desired)) {
    return isObject(live)
      ? Object.entries(desired).flatMap(([key, value]) =>
          uncovered(live[key], value, isQuantity || QUANTITIES.has(key), path === '' ? key : `${path}.${key}`),
        )
      : [path];
  }
  if (live === desired) return [];
  return isQuantity && quantityNanos(live) !== undefined && quantityNanos(live) === quantityNanos(desired)
    ? []
    : [path];
};

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
