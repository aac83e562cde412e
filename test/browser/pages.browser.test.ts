/** The dashboard as a person meets it, with an API that says what is rarely at hand. Needs a browser and no cluster. */
import {beforeAll, describe, expect, test} from '@jest/globals';
import type {Page} from 'playwright-core';
import {until} from '../e2e/kit/until.ts';
import type {MockApi} from './dashboard.ts';
import {useDashboard} from './use-dashboard.ts';
import {violationsOf} from './violations.ts';

const AT = '2026-11-24T02:00:26.557Z';
const COUNTS = {pending: 1, on_time: 1234, late: 2, silent: 0, failing: 3};
const UNSEEN = '\u200b ';
const ID = '00000000-0000-4000-8000-000000000001';
const DISPUTED_ID = ID.replace(/1$/, '3');

const page = (data: readonly unknown[]) => ({
  body: {data, hasNextPage: false, nextCursor: null, asOf: AT},
});

/** Of a page that is not the last. */
const CUT = {nextCursor: 'x'};

const device = (id: string, name: string | null) => ({
  id,
  name,
  group: 'north',
  status: 'late',
  statusSince: AT,
  model: 'Raspberry Pi 5',
  hardwareId: 'hw-1',
  tags: {site: 's-1'},
  enrolledAt: AT,
  revokedAt: null,
  decommissionedAt: null,
  reEnrolledAt: null,
  reEnrolments: 0,
  disputedUntil: null,
  lastSyncAt: AT,
  lastSeenAt: AT,
  recordsTotal: 12_345,
  syncsTotal: 678,
  revision: 1,
  epoch: 'e2',
  appliedThrough: 7,
  state: {fw: '1.12.0', load: [0.1, 0.3]},
  slot: 5,
  shard: 0,
});

const record = (epoch: string, ordinal: number) => ({
  epoch,
  batchSeq: 1,
  ordinal,
  seq: 1,
  kind: 'reading',
  deviceTime: AT,
  receivedAt: AT,
  data: {celsius: 15.5, text: 'long enough that it is folded into one line which opens when it is asked for'},
});

const LISTS: Readonly<Record<string, readonly unknown[]>> = {
  syncs: ['applied', 'rejected'].map((outcome, index) => ({
    epoch: 'e2',
    batchSeq: 7 - index,
    outcome,
    recordCount: 2,
    badCount: index,
    mode: 'delta',
    reason: null,
    receivedAt: AT,
    appliedAt: AT,
  })),
  records: [record('e2', 0), record('e1', 0)],
  commands: ['queued', 'done'].map((state, index) => ({
    id: `00000000-0000-4000-8000-00000000010${index}`,
    requestId: ID,
    type: 'sync.now',
    priority: 'high',
    state,
    createdAt: AT,
    expiresAt: AT,
    deliveredAt: null,
    doneAt: null,
  })),
};

const breakdown = {devices: 1240, byStatus: COUNTS};

/** That more than one machine claims to be. */
const disputed = {
  ...{...device(DISPUTED_ID, 'pi-3'), hardwareId: 'one-serial'},
  ...{reEnrolledAt: AT, reEnrolments: 12, disputedUntil: AT},
};

/** Of a region with some devices, one of which has a name that shows as nothing. */
const region =
  (signedIn: boolean): MockApi =>
  (method, {pathname, searchParams}) => {
    const [, , , first = '', id = '', list = ''] = pathname.split('/');
    switch (first) {
      case 'session':
        return signedIn
          ? {body: {name: 'ann', role: 'admin', groups: null, region: 'eu', csrfToken: 'x', expiresAt: null}}
          : {status: 401, body: {title: 'Unauthenticated', status: 401, detail: 'This API token does not exist.'}};
      case 'region':
        return {
          body: {
            region: 'eu',
            ...breakdown,
            byGroup: [
              {group: 'north', ...breakdown},
              {group: UNSEEN, ...breakdown},
            ],
            byShard: [0, 1].map((shard) => ({shard, ...breakdown, asOf: AT})),
            partial: ['shard-1', 'shard-2'],
            asOf: AT,
            ageSeconds: 3,
          },
        };
      case 'devices':
        if (method === 'POST') return {status: 202, body: {success: true, requestId: ID}};
        if (id === '') {
          if (searchParams.get('cursor') !== null)
            return {status: 400, body: {title: 'Bad', status: 400, detail: 'No.'}};
          if (searchParams.get('filter') === 'status==silent') return page([]);
          if (searchParams.get('filter') === 'shard==1')
            return {body: {...page([]).body, ...CUT, partial: ['shard-1']}};
          return searchParams.get('filter') === 'status==late'
            ? {body: {...page([device(ID, 'pi-1')]).body, ...CUT, hasNextPage: true}}
            : page([device(ID, UNSEEN), device(ID.replace(/1$/, '2'), 'pi-2'), disputed]);
        }
        if (id === DISPUTED_ID && list === '') return {body: {data: disputed, asOf: AT}};
        if (id !== ID) return undefined;
        return list === '' ? {body: {data: device(ID, UNSEEN), asOf: AT}} : page(LISTS[list] ?? []);
    }
    return undefined;
  };

const show = useDashboard();

interface Shown {
  readonly what: string;
  readonly path: string;
  /** A text that is there when the page is. */
  readonly sign: string;
  readonly isSignedOut?: true;
  /** What a person does on it first. */
  readonly act?: (shown: Page) => Promise<void>;
}

const PAGES: readonly Shown[] = [
  {what: 'the sign-in page', path: '/', isSignedOut: true, sign: 'Sign in with an API token'},
  {
    what: 'the sign-in page after a wrong token',
    path: '/',
    isSignedOut: true,
    sign: 'Sign in with an API token',
    act: async (shown) => {
      await shown.getByLabel(/token/i).fill('x');
      await shown.getByRole('button', {name: /sign in/i}).click();
      await shown.getByRole('alert').waitFor();
    },
  },
  {what: 'the summary', path: '/', sign: 'shard-1 does not answer'},
  {what: 'the devices', path: '/devices', sign: 'pi-2'},
  {
    what: 'the devices with the choice of columns',
    path: '/devices',
    sign: 'pi-2',
    act: (shown) => shown.getByText('Columns', {exact: true}).click(),
  },
  {what: 'a list without a device', path: '/devices?status=silent', sign: 'No device matches'},
  {what: 'a list whose next rows did not come', path: '/devices?status=late', sign: 'The next rows did not come'},
  {what: 'a list that nobody knows', path: '/devices?shard=1', sign: 'Nobody knows now'},
  {what: 'a device and its syncs', path: `/devices/${ID}`, sign: 'rejected'},
  {
    what: 'a device that was asked to sync',
    path: `/devices/${ID}`,
    sign: 'rejected',
    act: async (shown) => {
      await shown.getByTestId('sync-now').click();
      await shown.getByText('Queued.').waitFor();
    },
  },
  {
    what: 'a device that more than one machine claims to be',
    path: `/devices/${DISPUTED_ID}`,
    sign: 'Two machines may be this device',
  },
  {what: 'a device and its records', path: `/devices/${ID}?list=records`, sign: 'reading'},
  {what: 'a device and its commands', path: `/devices/${ID}?list=commands`, sign: 'queued'},
  {what: 'a device that there is not', path: '/devices/x', sign: 'There is no such device'},
  {what: 'a page that there is not', path: '/nope', sign: 'There is no such page'},
];

describe.each(['light', 'dark'] as const)('in the %s theme axe finds nothing', (colorScheme) => {
  test.each(PAGES)('on $what', async ({path, sign, isSignedOut, act}) => {
    const {shown} = await show(region(isSignedOut !== true), path, {colorScheme});
    await shown.getByText(sign).first().waitFor();
    await act?.(shown);
    expect(await violationsOf(shown)).toEqual([]);
  });

  test('on a narrow screen', async () => {
    for (const path of ['/', '/devices', `/devices/${ID}?list=records`]) {
      const {shown} = await show(region(true), path, {colorScheme, viewport: {width: 390, height: 844}});
      await shown
        .getByText(/Raspberry|does not answer|pi-2/)
        .first()
        .waitFor();
      expect({path, violations: await violationsOf(shown)}).toEqual({path, violations: []});
    }
  });
});

test('a device whose name shows as nothing is opened by its id', async () => {
  const {shown} = await show(region(true), '/devices');
  await shown.getByRole('link', {name: ID}).click();
  await shown.getByRole('heading', {level: 1, name: ID}).waitFor();
});

test('a device that more than one machine claims to be says so, with the hardware id that they share, and another does not', async () => {
  const {shown} = await show(region(true), '/devices');
  const notice = shown.getByText('Two machines may be this device.');
  await shown.getByRole('link', {name: 'pi-3'}).click();
  await notice.waitFor();
  expect(await shown.locator('.notice').innerText()).toContain('the hardware id one-serial, give one of them another');
  expect(await shown.getByText('12 in all').count()).toBe(1);
  await shown.goBack();
  await shown.getByRole('link', {name: ID}).click();
  await shown.getByRole('heading', {level: 1, name: ID}).waitFor();
  expect(await notice.count()).toBe(0);
});

test('a group whose name shows as nothing is opened by what its name is made of', async () => {
  const {shown} = await show(region(true), '');
  await shown.getByRole('link', {name: '(U+200B U+0020)', exact: true}).click();
  await shown.getByTestId('device-row').first().waitFor();
  expect(new URL(shown.url()).searchParams.get('group')).toBe(UNSEEN);
});

test('records of two epochs are told apart, and every column has a word', async () => {
  const {shown, url} = await show(region(true), `/devices/${ID}?list=records`);
  await shown.getByText('e1:1').waitFor();
  expect(await shown.getByText('e2:1').count()).toBe(1);
  await shown.goto(url);
  await shown.getByTestId('summary-tiles').waitFor();
  for (const head of await shown.getByRole('columnheader').all()) {
    const words = await head.evaluate((element) => (element as unknown as {readonly innerText: string}).innerText);
    expect(words.trim()).not.toBe('');
    expect((await head.boundingBox())?.width).toBeGreaterThan(20);
  }
});

describe('a list of a million devices', () => {
  const COUNT = 1_000_000;
  const ROW_PX = 36;
  const nameOf = (index: number): string => `pi-${String(index).padStart(6, '0')}`;
  let shown: Page;

  beforeAll(async () => {
    const rows = Array.from(
      {length: COUNT},
      (_, index) => `{"id":"00000000-0000-4000-8000-${String(index).padStart(12, '0')}","name":"${nameOf(index)}"}`,
    ).join(',');
    const list = `{"data":[${rows}],"hasNextPage":false,"nextCursor":null,"asOf":"${AT}"}`;
    const api: MockApi = (method, target) =>
      target.pathname === '/api/v1/devices' ? {body: list} : region(true)(method, target, {});
    ({shown} = await show(api, '/devices?columns=status'));
    await shown.getByText(nameOf(0), {exact: true}).waitFor({timeout: 60_000});
  }, 120_000);

  /** Name of the row that has the focus, once it is that one. */
  const focused = async (name: string): Promise<void> => {
    await shown.locator('[data-testid="device-row"] a:focus').filter({hasText: name}).waitFor({timeout: 20_000});
  };

  /** Whether the row is on the screen as a whole, below the head of the table. */
  const isSeen = async (name: string): Promise<boolean> => {
    const row = shown.getByTestId('device-row').filter({hasText: name});
    if ((await row.count()) === 0) return false;
    const [box, grid] = await Promise.all([row.boundingBox(), shown.locator('.grid').boundingBox()]);
    if (box === null || grid === null) return false;
    return box.y >= grid.y + ROW_PX - 1 && box.y + box.height <= grid.y + grid.height + 1;
  };

  const seen = (name: string): Promise<true> =>
    until(`${name} on the screen`, async () => ((await isSeen(name)) ? true : undefined), {timeoutMs: 20_000});

  const scrollTo = (to: string): Promise<unknown> =>
    shown.evaluate(`{ const grid = document.querySelector('.grid'); grid.scrollTop = ${to}; }`);

  test('End shows and focuses the last, Home the first', async () => {
    await shown.getByTestId('device-row').first().getByRole('link').focus();
    for (const [key, name] of [
      ['End', nameOf(COUNT - 1)],
      ['ArrowUp', nameOf(COUNT - 2)],
      ['Home', nameOf(0)],
      ['ArrowDown', nameOf(1)],
      ['End', nameOf(COUNT - 1)],
    ] as const) {
      await shown.keyboard.press(key);
      await focused(name);
      await seen(name);
    }
  });

  test('the scrollbar reaches the last, the first and the middle', async () => {
    await scrollTo('grid.scrollHeight');
    await seen(nameOf(COUNT - 1));
    await scrollTo('0');
    await seen(nameOf(0));
    await scrollTo('grid.scrollHeight / 2');
    await until('rows of the middle', async () => {
      const names = await shown.getByTestId('device-row').getByRole('link').allInnerTexts();
      return names.find((name) => Math.abs(Number(name.slice(3)) - COUNT / 2) < COUNT / 100);
    });
  });

  test('whoever scrolled away from the focus goes on from it', async () => {
    await shown.keyboard.press('Home');
    await focused(nameOf(0));
    await scrollTo('grid.scrollHeight / 2');
    await focused(nameOf(0));
    await shown.keyboard.press('ArrowDown');
    await focused(nameOf(1));
    await seen(nameOf(1));
  });

  test('a turn of the wheel moves the rows as far wherever they are', async () => {
    await shown.keyboard.press('End');
    await focused(nameOf(COUNT - 1));
    await shown.locator('.grid').hover();
    await shown.mouse.wheel(0, -20 * ROW_PX);
    await shown.getByText(nameOf(COUNT - 40), {exact: true}).waitFor();
    await seen(nameOf(COUNT - 25));
  });
});
