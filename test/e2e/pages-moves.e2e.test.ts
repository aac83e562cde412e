/** What the dashboard says, and where the reader is, when something happens meanwhile. With an API of the test's own; needs a browser and no cluster. */
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {chromium, type Browser, type Page} from 'playwright-core';
import {buildDashboard, type MockApi, removeDashboard, type ServedDashboard, serveDashboard} from './kit/dashboard.ts';
import {until} from './kit/until.ts';

const AT = '2026-11-24T02:00:26.557Z';
const COUNTS = {pending: 1, on_time: 1234, late: 2, silent: 0, failing: 3};
const ANN = {name: 'ann', role: 'admin', region: 'eu', csrfToken: 'of-ann', expiresAt: null};
const BOB = {...ANN, name: 'bob', role: 'operator', csrfToken: 'of-bob'};
const COUNT = 100_000;
const PAGE = 200;

const idOf = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;
const nameOf = (index: number): string => `pi-${String(index).padStart(6, '0')}`;
const row = (index: number) => ({
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
const device = (index: number) => ({
  ...row(index),
  statusSince: AT,
  hardwareId: 'hw-1',
  tags: {},
  revokedAt: null,
  revision: 1,
  epoch: 'e1',
  appliedThrough: 7,
  state: {},
  slot: 5,
  reEnrolledAt: null,
  reEnrolments: 0,
  disputedUntil: null,
});
const list = (data: readonly unknown[], more: object = {}) => ({
  body: {data, hasNextPage: false, nextCursor: null, asOf: AT, ...more},
});
const refusal = (status: number, detail: string) => ({status, body: {title: 'No', status, detail}});

/** A region of so many devices; what `over` answers goes before. */
const region =
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
    if (method === 'POST') return {status: 202, body: {success: true, requestId: idOf(9)}};
    if (id === '') {
      const from = Number(url.searchParams.get('cursor') ?? 0);
      const rows = Array.from({length: Math.min(PAGE, COUNT - from)}, (_, place) => row(from + place));
      return list(rows, {hasNextPage: from + PAGE < COUNT, nextCursor: String(from + PAGE)});
    }
    return of === '' ? {body: {data: device(Number(id.slice(-12))), asOf: AT}} : list([]);
  };

const isList = (url: URL): boolean => url.pathname === '/api/v1/devices';

let folder: string;
let browser: Browser;
const served: ServedDashboard[] = [];
const pages: Page[] = [];

const show = async (path: string, over?: MockApi, viewport = {width: 1280, height: 900}) => {
  const dashboard = await serveDashboard(folder, region(over));
  served.push(dashboard);
  const shown = await browser.newPage({viewport});
  pages.push(shown);
  await shown.goto(`${dashboard.url}${path}`);
  return {shown, calls: dashboard.calls};
};

beforeAll(async () => {
  folder = await buildDashboard();
  browser = await chromium.launch({
    executablePath: process.env['PISYNC_TEST_CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync'],
  });
}, 300_000);

afterAll(async () => {
  await browser.close();
  for (const dashboard of served) dashboard.close();
  removeDashboard(folder);
}, 60_000);

/** The window is looked at again. */
const lookedAt = (shown: Page): Promise<unknown> => shown.evaluate(`window.dispatchEvent(new Event('focus'))`);

const focused = (shown: Page, name: string): Promise<void> =>
  shown.locator('[data-testid="device-row"] a:focus').filter({hasText: name}).waitFor({timeout: 10_000});

/** Goes down to this row by loading all before it. @param index the last of a page */
const goDownTo = async (shown: Page, index: number): Promise<void> => {
  await shown.getByTestId('device-row').first().getByRole('link').focus();
  for (let last = PAGE - 1; last <= index; last += PAGE) {
    await shown.getByText(`${(last + 1).toLocaleString('en')} loaded`).waitFor();
    await shown.keyboard.press('End');
    await focused(shown, nameOf(last));
  }
  // A reader who rests.
  await until('the place in the history entry', async () =>
    (await shown.evaluate('history.state?.place?.row')) === index ? true : undefined,
  );
};

/** Indexes of the rows that are on the screen as a whole. */
const seen = (shown: Page): Promise<readonly number[]> =>
  shown.evaluate<number[]>(`{
    const grid = document.querySelector('.grid').getBoundingClientRect();
    [...document.querySelectorAll('[data-testid="device-row"]')].filter((row) => {
      const box = row.getBoundingClientRect();
      return box.top >= grid.top + 35 && box.bottom <= grid.bottom + 1;
    }).map((row) => Number(row.dataset.index));
  }`);

const sees = (shown: Page, index: number): Promise<true> =>
  until(`row ${index} on the screen`, async () => ((await seen(shown)).includes(index) ? true : undefined), {
    timeoutMs: 10_000,
  });

describe('another tab', () => {
  test('signs in as somebody else: this one says so when it is looked at', async () => {
    let who = ANN;
    const {shown} = await show('/', (_method, url) => (url.pathname.endsWith('/session') ? {body: who} : undefined));
    await shown.getByText('ann').waitFor();
    who = BOB;
    await lookedAt(shown);
    await shown.getByText('bob').waitFor();
  });

  test('signs in as somebody else: nothing is done as a person whom the page did not name', async () => {
    let who = ANN;
    const done: string[] = [];
    const {shown} = await show(`/devices/${idOf(1)}`, (method, url, headers) => {
      if (method !== 'GET' && headers['x-csrf-token'] !== who.csrfToken) return refusal(403, 'The token is missing.');
      if (method !== 'GET') done.push(`${method} by ${who.name}`);
      if (!url.pathname.endsWith('/session')) return undefined;
      return method === 'GET' ? {body: who} : {status: 204, body: ''};
    });
    await shown.getByTestId('sync-now').waitFor();
    who = BOB;
    await shown.getByTestId('sync-now').click();
    await shown.getByText('Another tab signed in as bob').waitFor();
    who = {...ANN, csrfToken: 'of-ann-again'};
    await shown.getByRole('button', {name: 'Sign out'}).click();
    await shown.getByText('Sign out failed').waitFor();
    expect(done).toEqual([]);
    await shown.getByTestId('sync-now').click();
    await shown.getByText('Queued.').waitFor();
    expect(done).toEqual(['POST by ann']);
  });

  test('signs in again after the session ended: this one goes on, too', async () => {
    let isIn = true;
    const {shown} = await show('/', () => (isIn ? undefined : refusal(401, 'Sign in.')));
    await shown.getByTestId('summary-tiles').waitFor();
    isIn = false;
    await lookedAt(shown);
    await shown.getByText('Your session has ended').waitFor();
    isIn = true;
    await lookedAt(shown);
    await shown.getByTestId('summary-tiles').waitFor();
  });
});
