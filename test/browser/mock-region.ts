/** What the API of a region answers that has any number of devices, for tests that change one thing of it. */
import type {MockApi} from './dashboard.ts';

export const AT = '2026-11-24T02:00:26.557Z';
export const COUNTS = {pending: 1, on_time: 1234, late: 2, silent: 0, failing: 3};
export const ANN = {
  id: null,
  name: 'ann',
  role: 'admin',
  groups: null,
  region: 'eu',
  csrfToken: 'of-ann',
  expiresAt: null,
};
export const BOB = {...ANN, name: 'bob', role: 'operator', csrfToken: 'of-bob'};
const COUNT = 100_000;
export const PAGE = 200;

export const idOf = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;
export const nameOf = (index: number): string => `pi-${String(index).padStart(6, '0')}`;
export const row = (index: number) => ({
  id: idOf(index),
  name: nameOf(index),
  group: 'north',
  status: 'late',
  lastSyncAt: AT,
  lastSeenAt: AT,
  recordsTotal: index,
  syncsTotal: 3,
  model: 'Pi 5',
  enrolledAt: AT,
  shard: 0,
});
export const device = (index: number) => ({
  ...row(index),
  statusSince: AT,
  hardwareId: 'hw-1',
  tags: {},
  revokedAt: null,
  decommissionedAt: null,
  revision: 1,
  epoch: 'e1',
  appliedThrough: 7,
  state: {},
  slot: 5,
  reEnrolledAt: null,
  reEnrolments: 0,
  disputedUntil: null,
});
export const SYNC = {
  epoch: 'e1',
  outcome: 'applied',
  recordCount: 1,
  badCount: 0,
  mode: 'delta',
  reason: null,
  receivedAt: AT,
  appliedAt: AT,
};
const GROUPS = ['default', 'north', 'south'].map((name, index) => ({
  id: index + 1,
  name,
  kind: 'static',
  filter: null,
  createdAt: AT,
  revision: 1,
  count: {value: 7, exact: true, atLeast: false, asOf: AT, byStatus: COUNTS},
}));
export const list = (data: readonly unknown[], more: object = {}) => ({
  body: {data, hasNextPage: false, nextCursor: null, asOf: AT, ...more},
});
export const refusal = (status: number, detail: string) => ({status, body: {title: 'No', status, detail}});

/** A region of so many devices; what `over` answers goes before. */
export const region =
  (over: MockApi = () => undefined): MockApi =>
  (method, url, headers) => {
    const special = over(method, url, headers);
    if (special !== undefined) return special;
    const [, , , first = '', id = '', of = ''] = url.pathname.split('/');
    if (first === 'session') return {body: ANN};
    if (first === 'region') {
      const counts = {devices: 1240, byStatus: COUNTS};
      return {body: {region: 'eu', ...counts, byGroup: [], byShard: [], asOf: AT, ageSeconds: 3}};
    }
    if (first === 'groups') return list(GROUPS);
    if (method === 'POST') return {status: 202, body: {success: true, requestId: idOf(9)}};
    if (id === '') {
      const from = Number(url.searchParams.get('cursor') ?? 0);
      const rows = Array.from({length: Math.min(PAGE, COUNT - from)}, (_, place) => row(from + place));
      return list(rows, {hasNextPage: from + PAGE < COUNT, nextCursor: String(from + PAGE)});
    }
    return of === '' ? {body: {data: device(Number(id.slice(-12))), asOf: AT}} : list([]);
  };

export const isList = (url: URL): boolean => url.pathname === '/api/v1/devices';
