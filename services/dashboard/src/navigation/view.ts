import {type AuditFilter, type DeviceFilter, markOf} from '../api/client.ts';

/** Every view of the page is a URL; this file is the one place that reads and writes them. */
export type View =
  | {readonly kind: 'summary'}
  | {readonly kind: 'devices'; readonly filter: DeviceFilter; readonly columns: readonly string[] | null}
  | {readonly kind: 'device'; readonly id: string; readonly list: DeviceListName}
  | {readonly kind: 'groups'}
  | {readonly kind: 'tokens'}
  | {readonly kind: 'audit'; readonly filter: AuditFilter}
  | {readonly kind: 'unknown'; readonly path: string};

export const DEVICE_LISTS = ['syncs', 'records', 'commands'] as const;
export type DeviceListName = (typeof DEVICE_LISTS)[number];

const isDeviceList = (value: string | null): value is DeviceListName => DEVICE_LISTS.some((name) => name === value);

const FILTER_FIELDS = [
  'status',
  'group',
  'shard',
  'mark',
  'q',
  'sort',
] as const satisfies readonly (keyof DeviceFilter)[];

const AUDIT_FIELDS = [
  'actor',
  'action',
  'objectId',
  'since',
  'until',
] as const satisfies readonly (keyof AuditFilter)[];

/** Undefined for a broken escape: anything may stand in an address. */
const decoded = (part: string): string | undefined => {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
};

export const viewOf = (url: URL): View => {
  const parts = url.pathname.split('/').filter((part) => part !== '');
  const [first, second] = parts;
  const text = (name: string): string | undefined => url.searchParams.get(name) ?? undefined;
  if (first === undefined) return {kind: 'summary'};
  if (first === 'devices' && parts.length === 1) {
    const columns = url.searchParams.get('columns');
    return {
      kind: 'devices',
      filter: {
        ...Object.fromEntries(FILTER_FIELDS.map((field) => [field, text(field)])),
        mark: markOf(text('mark')),
      },
      columns: columns === null ? null : columns.split(',').filter((name) => name !== ''),
    };
  }
  if (first === 'devices' && second !== undefined && parts.length === 2) {
    const list = url.searchParams.get('list');
    const id = decoded(second);
    if (id !== undefined) return {kind: 'device', id, list: isDeviceList(list) ? list : 'syncs'};
  }
  if (first === 'groups' && parts.length === 1) return {kind: 'groups'};
  if (first === 'tokens' && parts.length === 1) return {kind: 'tokens'};
  if (first === 'audit' && parts.length === 1) {
    return {kind: 'audit', filter: Object.fromEntries(AUDIT_FIELDS.map((field) => [field, text(field)]))};
  }
  return {kind: 'unknown', path: url.pathname};
};

export const devicesHref = (filter: DeviceFilter = {}, columns: readonly string[] | null = null): string => {
  const query = new URLSearchParams();
  for (const field of FILTER_FIELDS) {
    const value = filter[field];
    if (value !== undefined) query.set(field, value);
  }
  if (columns !== null) query.set('columns', columns.join(','));
  const text = query.toString();
  return text === '' ? '/devices' : `/devices?${text}`;
};

export const auditHref = (filter: AuditFilter = {}): string => {
  const given = AUDIT_FIELDS.flatMap((field) => (filter[field] === undefined ? [] : [[field, filter[field]]]));
  return given.length === 0 ? '/audit' : `/audit?${new URLSearchParams(given).toString()}`;
};

export const deviceHref = (id: string, list: DeviceListName = 'syncs'): string =>
  `/devices/${encodeURIComponent(id)}${list === 'syncs' ? '' : `?list=${list}`}`;
