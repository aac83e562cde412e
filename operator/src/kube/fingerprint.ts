import {createHash} from 'node:crypto';
import {quantityNanos} from './quantity.ts';

/** JSON with sorted keys and without `undefined`: equal values give equal text. */
export const canonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (isObject(value)) {
    const members = Object.keys(value)
      .filter((key) => value[key] !== undefined)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`);
    return `{${members.join(',')}}`;
  }
  return value === undefined ? 'null' : JSON.stringify(value);
};

/** 128 bits of SHA-256 over the canonical JSON, as hex. */
export const fingerprint = (value: unknown): string =>
  createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 32);

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
export const covers = (live: unknown, desired: unknown, isQuantity = false): boolean => {
  if (desired === undefined) return true;
  if (Array.isArray(desired)) {
    return (
      Array.isArray(live) &&
      live.length === desired.length &&
      desired.every((item, index) => covers(live[index], item, isQuantity))
    );
  }
  if (isObject(desired)) {
    return (
      isObject(live) &&
      Object.entries(desired).every(([key, value]) => covers(live[key], value, isQuantity || QUANTITIES.has(key)))
    );
  }
  if (live === desired) return true;
  return isQuantity && quantityNanos(live) !== undefined && quantityNanos(live) === quantityNanos(desired);
};

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
