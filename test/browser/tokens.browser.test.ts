/** Tokens as an administrator makes and ends them, with an API of the test's own; needs a browser and no cluster. */
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import type {Browser, Page} from 'playwright-core';
import {openBrowser} from '../e2e/kit/browser.ts';
import {buildDashboard, type MockApi, removeDashboard, type ServedDashboard, serveDashboard} from './dashboard.ts';
import {violationsOf} from './violations.ts';

const AT = '2026-11-24T02:00:26.557Z';
const COUNTS = {pending: 1, on_time: 4, late: 2, silent: 0, failing: 3};
const TOKEN = `pse_${'x'.repeat(43)}`;
const COMMAND = `echo ${TOKEN} | sudo install -D -m 600 /dev/stdin /etc/pisync/enrolment-token && sudo node main.ts --url https://eu.sync.example.com`;

const token = (index: number, over: object = {}) => ({
  id: `00000000-0000-7000-8000-00000000000${index}`,
  name: `token ${index}`,
  createdAt: AT,
  createdBy: 'ann',
  expiresAt: null,
  revokedAt: null,
  state: 'valid',
  ...over,
});

interface Region {
  readonly api: MockApi;
  /** What was changed, in order. */
  readonly changes: string[];
}

/** A region in which the first enrolment token can be revoked. */
const region = (role = 'admin'): Region => {
  const changes: string[] = [];
  let isRevoked = false;
  const lists: Readonly<Record<string, () => readonly object[]>> = {
    'enrolment-tokens': () => [
      token(1, {group: 'north', maxDevices: null, devices: 7, ...(isRevoked ? {state: 'revoked', revokedAt: AT} : {})}),
      token(2, {group: 'south', maxDevices: 3, devices: 3, state: 'used-up', expiresAt: AT}),
    ],
    'api-tokens': () => [
      token(3, {role: 'operator', groups: ['north', 'south']}),
      token(4, {role: 'admin', groups: null, state: 'expired', expiresAt: AT}),
    ],
  };
  const api: MockApi = (method, {pathname}, headers) => {
    const [, , , first = ''] = pathname.split('/');
    if (first === 'session') {
      return {body: {name: 'ann', role, groups: null, region: 'eu', csrfToken: 'of-ann', expiresAt: null}};
    }
    if (first === 'region') {
      const counts = {devices: 10, byStatus: COUNTS};
      const byGroup = ['north', 'south'].map((group) => ({group, ...counts}));
      return {body: {region: 'eu', ...counts, byGroup, byShard: [], asOf: AT, ageSeconds: 3}};
    }
    if (first === 'groups') {
      const data = ['north', 'south'].map((name, id) => ({id, name, kind: 'static'}));
      return {body: {data, hasNextPage: false, nextCursor: null, asOf: AT}};
    }
    const list = lists[first];
    if (list === undefined) return undefined;
    if (method === 'GET') return {body: {data: list(), hasNextPage: false, nextCursor: null, asOf: AT}};
    changes.push(`${method} ${pathname} ${String(headers['x-csrf-token'])} ${String(headers['idempotency-key'])}`);
    if (method === 'POST') return {status: 201, body: {token: TOKEN, command: COMMAND, data: token(5)}};
    isRevoked = true;
    return {status: 204, body: ''};
  };
  return {api, changes};
};

let folder: string;
let browser: Browser;
const served: ServedDashboard[] = [];

beforeAll(async () => {
  folder = await buildDashboard();
  browser = await openBrowser();
}, 300_000);

afterAll(async () => {
  await browser.close();
  for (const dashboard of served) dashboard.close();
  removeDashboard(folder);
}, 60_000);

const show = async (api: MockApi, options: Parameters<Browser['newPage']>[0] = {}): Promise<Page> => {
  const dashboard = await serveDashboard(folder, api);
  served.push(dashboard);
  const shown = await browser.newPage({viewport: {width: 1280, height: 900}, ...options});
  await shown.goto(`${dashboard.url}/tokens`);
  return shown;
};

/** Goes on with Tab until the focus is on what has this name. */
const tabTo = async (shown: Page, name: string): Promise<void> => {
  for (let presses = 0; presses < 60; presses++) {
    await shown.keyboard.press('Tab');
    const focused: string = await shown.evaluate(`{
      const element = document.activeElement;
      element.getAttribute('aria-label') ?? element.labels?.[0]?.innerText ?? element.innerText ?? '';
    }`);
    if (focused.trim().startsWith(name)) return;
  }
  throw new Error(`Tab never comes to "${name}"`);
};

/** The page as it was opened, with a token that was just made, and with the question. */
const STATES: readonly (readonly [string, (shown: Page) => Promise<void>])[] = [
  ['the lists', () => Promise.resolve()],
  [
    'the choice of groups',
    async (shown) => {
      await shown.getByText('Groups: all').click();
      await shown.getByLabel('north').check();
    },
  ],
  [
    'a token that was just made',
    async (shown) => {
      const kind = shown.getByTestId('enrolment-tokens');
      await kind.getByLabel('Name').fill('spring');
      await kind.getByRole('button', {name: 'Make token'}).click();
      await shown.getByTestId('made-token').waitFor();
    },
  ],
  [
    'the question before one is revoked',
    async (shown) => {
      await shown.getByRole('button', {name: 'Revoke token 1'}).click();
      await shown.getByRole('dialog').waitFor();
    },
  ],
];

describe.each(['light', 'dark'] as const)('in the %s theme axe finds nothing', (colorScheme) => {
  test.each(STATES)('on %s', async (_what, act) => {
    const shown = await show(region().api, {colorScheme});
    await shown.getByRole('cell', {name: 'token 4', exact: true}).waitFor();
    await act(shown);
    expect(await violationsOf(shown)).toEqual([]);
    await shown.setViewportSize({width: 390, height: 844});
    expect(await violationsOf(shown)).toEqual([]);
    await shown.close();
  });
});

test('by keyboard alone a token is made, its command copied, and it is gone when that is done', async () => {
  const {api, changes} = region();
  const shown = await show(api, {permissions: ['clipboard-read', 'clipboard-write']});
  await shown.getByRole('cell', {name: 'token 4', exact: true}).waitFor();
  await tabTo(shown, 'Name');
  await shown.keyboard.type('spring');
  await shown.keyboard.press('Enter');
  await shown.getByText('Copy it now').waitFor();
  expect(changes).toEqual([expect.stringMatching(/^POST \/api\/v1\/enrolment-tokens of-ann [0-9a-f]{32}$/)]);
  await tabTo(shown, 'Copy: Command');
  await shown.keyboard.press('Enter');
  await shown.getByText('Copied.').waitFor();
  expect(await shown.evaluate('navigator.clipboard.readText()')).toBe(COMMAND);
  await shown.getByRole('img', {name: 'QR code of the command'}).waitFor();
  await tabTo(shown, 'Done');
  await shown.keyboard.press('Enter');
  await shown.getByTestId('made-token').waitFor({state: 'detached'});
  expect(await shown.content()).not.toContain(TOKEN);
  await shown.close();
});

test('a token is revoked after a question, and not by who goes back from it', async () => {
  const {api, changes} = region();
  const shown = await show(api);
  const button = shown.getByRole('button', {name: 'Revoke token 1'});
  await button.focus();
  await shown.keyboard.press('Enter');
  await shown.getByRole('heading', {name: 'Revoke “token 1”?'}).waitFor();
  await shown.keyboard.press('Escape');
  await shown.getByRole('dialog').waitFor({state: 'hidden'});
  await shown.keyboard.press('Enter');
  await shown.getByRole('button', {name: 'Keep it'}).click();
  expect(changes).toEqual([]);
  await button.click();
  await shown.getByRole('button', {name: 'Revoke it'}).click();
  await shown.getByText('revoked', {exact: true}).waitFor();
  expect(changes).toEqual([expect.stringMatching(/^DELETE \/api\/v1\/enrolment-tokens\/\S+1 of-ann /)]);
  expect(await button.count()).toBe(0);
  await shown.close();
});

test('a token that was just made is there until that is done, and the page is not closed without a question', async () => {
  const {api} = region();
  let isIn = true;
  const shown = await show((method, url, headers) => {
    if (method === 'POST' && url.pathname.endsWith('/session')) isIn = true;
    return isIn ? api(method, url, headers) : {status: 401, body: {title: 'No', status: 401, detail: 'Sign in.'}};
  });
  const asks = (): Promise<boolean> =>
    shown.evaluate<boolean>(`!window.dispatchEvent(new Event('beforeunload', {cancelable: true}))`);
  const kind = shown.getByTestId('enrolment-tokens');
  await kind.getByLabel('Name').fill('spring');
  expect(await asks()).toBe(false);
  await kind.getByRole('button', {name: 'Make token'}).click();
  const made = kind.getByTestId('made-token');
  await made.waitFor();
  expect(await asks()).toBe(true);
  isIn = false;
  await shown.evaluate(`window.dispatchEvent(new Event('focus'))`);
  const form = shown.getByTestId('sign-in');
  await form.getByLabel('API token').fill('x');
  await form.getByLabel('API token').press('Enter');
  await form.waitFor({state: 'detached'});
  expect(await made.getByLabel('Token', {exact: true}).inputValue()).toBe(TOKEN);
  await shown.getByRole('link', {name: 'Summary', exact: true}).click();
  await shown.getByTestId('summary-tiles').waitFor();
  await shown.goBack();
  expect(await made.getByLabel('Token', {exact: true}).inputValue()).toBe(TOKEN);
  await made.getByRole('button', {name: 'Done'}).click();
  await made.waitFor({state: 'detached'});
  expect(await asks()).toBe(false);
  await shown.close();
});

test('a token whose answer was lost is revoked, and another made', async () => {
  const {api, changes} = region();
  const lostId = token(6).id;
  const keys: string[] = [];
  const shown = await show((method, url, headers) => {
    if (method !== 'POST') return api(method, url, headers);
    keys.push(String(headers['idempotency-key']));
    if (keys.length === 1) return {status: 502, headers: {'content-type': 'text/html'}, body: '<html>'};
    if (keys.length > 2) return api(method, url, headers);
    return {status: 409, body: {title: 'Conflict', status: 409, detail: 'It was made before.', id: lostId}};
  });
  const kind = shown.getByTestId('enrolment-tokens');
  await kind.getByLabel('Name').fill('spring');
  const make = kind.getByRole('button', {name: 'Make token'});
  await make.focus();
  await shown.keyboard.press('Enter');
  await kind.getByRole('alert').filter({hasText: '502'}).waitFor();
  expect(await shown.evaluate('document.activeElement.textContent')).toBe('Make token');
  await shown.keyboard.press('Enter');
  await kind.getByRole('alert').filter({hasText: 'It was made before'}).waitFor();
  await kind.getByRole('button', {name: 'Revoke spring'}).click();
  await shown.getByRole('button', {name: 'Revoke it'}).click();
  await kind.getByRole('alert').waitFor({state: 'detached'});
  await shown.keyboard.press('Enter');
  await kind.getByTestId('made-token').waitFor();
  expect(changes[0]).toContain(`DELETE /api/v1/enrolment-tokens/${lostId}`);
  expect(keys[1]).toBe(keys[0]);
  expect(keys[2]).not.toBe(keys[0]);
  await shown.close();
});

test('a token lasts as long as it says, also where the clock of the reader is wrong', async () => {
  const shown = await show(region().api);
  await shown.addInitScript('const now = Date.now.bind(Date); Date.now = () => now() + 365 * 86_400_000;');
  await shown.reload();
  const kind = shown.getByTestId('enrolment-tokens');
  await kind.getByLabel('Name').fill('spring');
  await kind.getByLabel('Works for').selectOption({label: 'a day'});
  const asked = shown.waitForRequest((request) => request.method() === 'POST');
  await kind.getByRole('button', {name: 'Make token'}).click();
  const {expiresAt} = (await asked).postDataJSON() as {readonly expiresAt: string};
  expect(Math.abs(Date.parse(expiresAt) - Date.now() - 86_400_000)).toBeLessThan(60_000);
  await shown.close();
});

test.each([
  ['auditor', 'sees them and changes nothing'],
  ['viewer', 'is told that they are not his'],
])('%s %s', async (role) => {
  const shown = await show(region(role).api);
  const link = shown.getByRole('navigation', {name: 'Views'}).getByRole('link', {name: 'Tokens'});
  if (role === 'viewer') {
    await shown.getByText('Tokens are for administrators').waitFor();
    expect(await link.count()).toBe(0);
  } else {
    await shown.getByRole('cell', {name: 'token 4', exact: true}).waitFor();
    expect(await link.count()).toBe(1);
    expect(await shown.getByRole('button', {name: /Make token|Revoke/}).count()).toBe(0);
  }
  await shown.close();
});
