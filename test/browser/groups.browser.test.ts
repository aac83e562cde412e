/** Groups as they are made, changed and deleted, and devices of one. With an API of the test's own; needs a browser and no cluster. */
import {describe, expect, test} from '@jest/globals';
import {until} from '@pisync/core/testing/until';
import type {Page} from 'playwright-core';
import type {MockApi} from './dashboard.ts';
import {ANN, AT, BOB, isList, list, refusal} from './mock-region.ts';
import {focusOf, usePages} from './pages.ts';
import {violationsOf} from './violations.ts';

const showPage = usePages();
const NOTHING = {pending: 0, on_time: 0, late: 0, silent: 0, failing: 0};
const count = (value: number, over: object = {}) => ({
  ...{value, exact: true, atLeast: false, asOf: AT, byStatus: {...NOTHING, late: value}},
  ...over,
});
interface MockGroup {
  readonly id: number;
  readonly name: string;
  readonly kind: string;
  readonly filter: string | null;
  readonly revision: number;
  readonly count: object;
}
const group = (id: number, name: string, over: Partial<MockGroup> = {}): MockGroup => ({
  ...{id, name, kind: 'static', filter: null, revision: 1, count: count(7)},
  ...over,
});
const FILTER = 'status==late;colour==red';
const FAULT = {pointer: '/filter', detail: 'has no field colour; known are id, name', character: 14};

interface Sent {
  readonly call: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

/** A region of three groups, which refuses filters that ask for a colour, and to delete `north`. */
const open = async (options: Parameters<typeof showPage>[1] & {readonly session?: object} = {}) => {
  const state = {
    isStale: false,
    groups: [
      group(1, 'default', {count: count(1_204)}),
      group(2, 'dry', {kind: 'dynamic', filter: 'lastSync<-P2D', count: count(20_000, {exact: false, atLeast: true})}),
      group(3, 'new', {kind: 'dynamic', filter: 'status==late', count: count(0, {exact: false, atLeast: true})}),
      group(4, 'north'),
    ],
  };
  const sent: Sent[] = [];
  const asked: (string | null)[] = [];
  let body: {readonly name?: string; readonly filter?: string | null} = {};
  const over: MockApi = (method, url) => {
    if (url.pathname.endsWith('/session')) return {body: options.session ?? ANN};
    if (isList(url)) asked.push(url.searchParams.get('filter'));
    if (!url.pathname.startsWith('/api/v1/groups')) return undefined;
    if (method === 'GET') return list(state.groups);
    const id = Number(url.pathname.split('/').at(-1));
    if (body.filter?.includes('colour') === true) {
      const {body: problem} = refusal(400, 'The filter cannot be used.');
      return {status: 400, body: {...problem, errors: [FAULT]}};
    }
    if (method === 'POST') {
      const made = group(9, body.name ?? '', {kind: 'dynamic', filter: body.filter ?? null, count: count(3)});
      state.groups.push(made);
      return {status: 201, body: {data: made, asOf: AT}};
    }
    if (method === 'DELETE') {
      if (id === 4) return refusal(409, 'The group 4 stays: 7 devices are in it.');
      state.groups = state.groups.filter((one) => one.id !== id);
      return {status: 204, body: ''};
    }
    if (state.isStale) return refusal(412, 'Somebody has changed the group.');
    state.groups = state.groups.map((one) =>
      one.id === id ? {...one, ...(body.name === undefined ? {} : {name: body.name}), revision: 2} : one,
    );
    return {body: {data: state.groups.find((one) => one.id === id), asOf: AT}};
  };
  const {shown} = await showPage('/groups', {...options, over});
  // Before the server answers it.
  await shown.route('**/api/v1/groups**', async (route) => {
    const request = route.request();
    if (request.method() !== 'GET') {
      const text = request.postData();
      body = text === null ? {} : (JSON.parse(text) as typeof body);
      const call = `${request.method()} ${new URL(request.url()).pathname}`;
      sent.push({call, body: text === null ? undefined : body, headers: request.headers()});
    }
    await route.continue();
  });
  await shown.getByRole('link', {name: 'north', exact: true}).waitFor();
  return {shown, sent, asked, state};
};

const edit = async (shown: Page, name: string): Promise<void> => {
  await shown.getByRole('button', {name: `Edit ${name}`}).click();
  await shown.getByRole('dialog').waitFor();
};
const fillDynamic = async (shown: Page): Promise<void> => {
  await shown.getByLabel('Name').fill('reds');
  await shown.getByLabel('Kind').selectOption('dynamic');
  await shown.getByRole('textbox', {name: 'Filter'}).fill(FILTER);
  await shown.getByRole('button', {name: 'Make group'}).click();
  await shown.getByText('At character 14 it has no field colour').waitFor();
};

const STATES: readonly (readonly [string, (opened: Awaited<ReturnType<typeof open>>) => Promise<void>])[] = [
  ['the list', () => Promise.resolve()],
  ['a filter that is refused', ({shown}) => fillDynamic(shown)],
  ['the form of a dynamic group', ({shown}) => edit(shown, 'dry')],
  [
    'a form that came too late',
    async ({shown, state}) => {
      await edit(shown, 'north');
      await shown.getByRole('dialog').getByLabel('Name').fill('x');
      state.isStale = true;
      state.groups = state.groups.map((one) => ({...one, revision: 7}));
      await shown.getByRole('button', {name: 'Save'}).click();
      await shown.getByRole('button', {name: /Begin again/}).waitFor();
    },
  ],
  [
    'a group that stays',
    async ({shown}) => {
      await shown.getByRole('button', {name: 'Delete north'}).click();
      await shown.getByRole('button', {name: 'Delete it'}).click();
      await shown.getByText('The group 4 stays').waitFor();
    },
  ],
];

describe.each(['light', 'dark'] as const)('in the %s theme axe finds nothing', (colorScheme) => {
  test.each(STATES)('on %s', async (_what, act) => {
    const opened = await open({colorScheme});
    await act(opened);
    expect(await violationsOf(opened.shown)).toEqual([]);
    await opened.shown.setViewportSize({width: 390, height: 844});
    expect(await violationsOf(opened.shown)).toEqual([]);
  });
});

test('the list says how sure its counts are, and leads to the devices that it counts', async () => {
  const {shown, asked} = await open();
  const row = (name: string) => shown.getByRole('row').filter({has: shown.getByRole('link', {name, exact: true})});
  await row('default').getByRole('link', {name: '1,204', exact: true}).waitFor();
  await row('dry').getByText('at least 20,000').waitFor();
  await row('dry').getByText('lastSync<-P2D').waitFor();
  await row('new').getByText('not counted yet').waitFor();
  await shown.getByRole('link', {name: '20,000 Late in dry'}).click();
  await until('the devices to be asked for', () => asked.at(-1) === 'status==late;group==dry');
  const select = shown.getByRole('combobox', {name: 'Group'});
  expect(await select.locator('option').allInnerTexts()).toEqual([
    'Any',
    'default',
    'dry (dynamic)',
    'new (dynamic)',
    'north',
  ]);
  expect(await select.inputValue()).toBe('=dry');
  await select.selectOption({label: 'north'});
  await until('the devices of another group', () => asked.at(-1) === 'status==late;group==north');
  expect(new URL(shown.url()).searchParams.get('group')).toBe('north');
});

test('by keyboard alone a dynamic group is made, after its filter was put right where it is wrong', async () => {
  const {shown, sent} = await open();
  await shown.getByLabel('Name').focus();
  await shown.keyboard.type('reds');
  await shown.keyboard.press('Tab');
  await shown.keyboard.type('dyn');
  await shown.keyboard.press('Tab');
  expect(await focusOf(shown)).toBe('INPUT');
  await shown.keyboard.type(FILTER);
  await shown.keyboard.press('Enter');
  await shown.getByText('At character 14 it has no field colour').waitFor();
  expect(await shown.locator('mark').innerText()).toBe('c');
  const field = shown.getByRole('textbox', {name: 'Filter'});
  expect(await field.getAttribute('aria-invalid')).toBe('true');
  expect(await shown.locator(`[id="${String(await field.getAttribute('aria-describedby'))}"]`).innerText()).toMatch(
    /colour/,
  );
  await shown.keyboard.press('Control+A');
  await shown.keyboard.type('status==late');
  await shown.keyboard.press('Enter');
  await shown.getByText('The group reds is made.').waitFor();
  await shown.getByRole('link', {name: 'reds', exact: true}).waitFor();
  expect(await shown.evaluate('document.activeElement === document.querySelector("form input")')).toBe(true);
  expect(sent.map(({call, body}) => [call, body])).toEqual([
    ['POST /api/v1/groups', {name: 'reds', filter: FILTER}],
    ['POST /api/v1/groups', {name: 'reds', filter: 'status==late'}],
  ]);
  const keys = sent.map(({headers}) => headers['idempotency-key']);
  expect([new Set(keys).size, sent[1]?.headers['x-csrf-token']]).toEqual([2, 'of-ann']);
});

test('by keyboard alone a group is renamed, and what did not change is not sent', async () => {
  const {shown, sent} = await open();
  await shown.getByRole('button', {name: 'Edit dry'}).focus();
  await shown.keyboard.press('Enter');
  await shown.getByRole('dialog', {name: 'Change “dry”'}).waitFor();
  await shown.keyboard.press('Control+A');
  await shown.keyboard.type('dry ponds');
  await shown.keyboard.press('Enter');
  await shown.getByRole('dialog').waitFor({state: 'hidden'});
  await shown.getByRole('link', {name: 'dry ponds', exact: true}).waitFor();
  expect(sent).toEqual([
    {
      call: 'PATCH /api/v1/groups/2',
      body: {name: 'dry ponds'},
      headers: expect.objectContaining({'if-match': '"1"', 'x-csrf-token': 'of-ann'}) as unknown,
    },
  ]);
  await edit(shown, 'north');
  expect(await shown.getByRole('dialog').getByLabel('Filter').count()).toBe(0);
  await shown.getByRole('button', {name: 'Save'}).click();
  await shown.getByRole('dialog').waitFor({state: 'hidden'});
  expect(sent).toHaveLength(1);
});

test('a group is deleted after a question, and stays with the reason while something goes by it', async () => {
  const {shown, sent} = await open();
  await shown.getByRole('button', {name: 'Delete dry'}).focus();
  await shown.keyboard.press('Enter');
  await shown.getByRole('heading', {name: 'Delete “dry”?'}).waitFor();
  await shown.keyboard.press('Escape');
  await shown.getByRole('dialog').waitFor({state: 'hidden'});
  expect(sent).toEqual([]);
  await shown.keyboard.press('Enter');
  await shown.keyboard.press('Tab');
  expect(await focusOf(shown)).toBe('BUTTON Delete it');
  await shown.keyboard.press('Enter');
  await shown.getByRole('link', {name: 'dry', exact: true}).waitFor({state: 'detached'});
  expect(await shown.evaluate('document.activeElement.textContent')).toBe('All groups');
  await shown.getByRole('button', {name: 'Delete north'}).click();
  await shown.getByRole('button', {name: 'Delete it'}).click();
  await shown.getByRole('alert').filter({hasText: 'The group 4 stays: 7 devices are in it.'}).waitFor();
  await shown.getByRole('button', {name: 'Keep it'}).click();
  await shown.getByRole('link', {name: 'north', exact: true}).waitFor();
});

test.each([
  ['an operator', BOB],
  ['a viewer', {...BOB, role: 'viewer'}],
  ['an admin of some groups', {...ANN, groups: ['north']}],
])('%s sees groups and changes none', async (_who, session) => {
  const {shown} = await open({session});
  expect(await shown.getByRole('button', {name: /Make group|Edit|Delete/}).count()).toBe(0);
  expect(await shown.getByRole('navigation', {name: 'Views'}).getByRole('link', {name: 'Groups'}).count()).toBe(1);
});
