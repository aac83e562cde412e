/** A device as it is renamed, tagged, moved, shut out and let in. With an API of the test's own; needs a browser and no cluster. */
import {describe, expect, test} from '@jest/globals';
import {until} from '@pisync/core/testing/until';
import type {Page} from 'playwright-core';
import type {MockApi} from './dashboard.ts';
import {ANN, AT, BOB, device, idOf, isList, list, refusal, row} from './mock-region.ts';
import {focusOf, usePages} from './pages.ts';
import {violationsOf} from './violations.ts';

const showPage = usePages();
const ID = idOf(1);
const PATH = `/devices/${ID}`;

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

/** The page of a device that the region changes as it is asked to, while `isStale` does not say that somebody else has. */
const open = async (
  options: Parameters<typeof showPage>[1] & {readonly session?: object; readonly refuse?: MockApi} = {},
) => {
  const state = {is: {...device(1), tags: {site: 'oak', floor: '2'}}, isStale: false, rows: [row(0), row(1)]};
  const sent: Sent[] = [];
  const over: MockApi = (method, url, headers) => {
    const refused = options.refuse?.(method, url, headers);
    if (refused !== undefined) return refused;
    if (url.pathname.endsWith('/session')) return {body: options.session ?? ANN};
    // As it was when the list was read.
    if (isList(url)) return list(state.rows);
    if (!url.pathname.startsWith(`/api/v1${PATH}`)) return undefined;
    if (method === 'GET') return url.pathname === `/api/v1${PATH}` ? {body: {data: state.is, asOf: AT}} : undefined;
    if (state.isStale) return refusal(412, 'Somebody has changed the device.');
    const action = url.pathname.split('/').at(-1) ?? '';
    const isIn = action === 'reinstate';
    state.is =
      method === 'PATCH'
        ? {...state.is, name: 'greenhouse', group: 'south', revision: state.is.revision + 1}
        : Object.assign({}, state.is, {
            revokedAt: isIn ? null : AT,
            decommissionedAt: action === 'decommission' ? AT : null,
            revision: state.is.revision + 1,
          });
    return {body: {data: state.is, asOf: AT}};
  };
  const {shown} = await showPage(PATH, {...options, over});
  shown.on('request', (request) => {
    if (request.method() === 'GET') return;
    const body = request.postData();
    sent.push({
      method: request.method(),
      path: new URL(request.url()).pathname,
      body: body === null ? undefined : (JSON.parse(body) as unknown),
      headers: request.headers(),
    });
  });
  await shown.getByRole('heading', {level: 1}).waitFor();
  return {shown, sent, state};
};

const edit = async (shown: Page): Promise<void> => {
  await shown.getByRole('button', {name: 'Edit'}).click();
  await shown.getByRole('dialog').waitFor();
};

const question = async (shown: Page, action: string): Promise<void> => {
  await shown.getByRole('button', {name: action, exact: true}).click();
  await shown.getByRole('dialog').waitFor();
};

describe.each(['light', 'dark'] as const)('in the %s theme axe finds nothing', (colorScheme) => {
  test.each<[string, (opened: Awaited<ReturnType<typeof open>>) => Promise<void>]>([
    ['the form', ({shown}) => edit(shown)],
    [
      'a form that came too late',
      async ({shown, state}) => {
        await edit(shown);
        await shown.getByLabel('Name', {exact: true}).fill('x');
        state.isStale = true;
        state.is = {...state.is, revision: 9};
        await shown.getByRole('button', {name: 'Save'}).click();
        await shown.getByRole('button', {name: /Begin again/}).waitFor();
      },
    ],
    ['the question before a device is revoked', ({shown}) => question(shown, 'Revoke')],
    [
      'a device that is decommissioned',
      async ({shown}) => {
        await question(shown, 'Decommission');
        await shown.getByRole('button', {name: 'Decommission it'}).click();
        await shown.getByText('It is out of service, and a machine').waitFor();
      },
    ],
  ])('on %s', async (_what, act) => {
    const opened = await open({colorScheme});
    await act(opened);
    expect(await violationsOf(opened.shown)).toEqual([]);
    await opened.shown.setViewportSize({width: 390, height: 844});
    expect(await violationsOf(opened.shown)).toEqual([]);
  });
});

test('by keyboard alone a device is renamed, moved and tagged, and what did not change is not sent', async () => {
  const {shown, sent} = await open();
  const press = async (...keys: readonly string[]): Promise<void> => {
    for (const key of keys) await shown.keyboard.press(key);
  };
  await shown.getByRole('button', {name: 'Edit'}).focus();
  await press('Enter');
  await shown.getByRole('dialog', {name: 'Name, group and tags'}).waitFor();
  await press('Control+A');
  await shown.keyboard.type('greenhouse');
  await press('Tab', 'Control+A');
  await shown.keyboard.type('south');
  // The first tag's name, value and button, and those of the second.
  await press('Tab', 'Tab', 'Tab', 'Tab', 'Tab', 'Tab', 'Enter');
  expect(await focusOf(shown)).toBe('BUTTON Add a tag');
  await press('Enter');
  await shown.keyboard.type('floor plan');
  await press('Tab');
  await shown.keyboard.type('b');
  await press('Enter');
  await shown.getByRole('dialog').waitFor({state: 'hidden'});
  expect(sent).toEqual([
    {
      method: 'PATCH',
      path: `/api/v1${PATH}`,
      body: {name: 'greenhouse', group: 'south', tags: {floor: null, 'floor plan': 'b'}},
      headers: expect.objectContaining({'if-match': '"1"', 'x-csrf-token': 'of-ann'}) as unknown,
    },
  ]);
  await shown.getByRole('heading', {level: 1, name: 'greenhouse'}).waitFor();
  expect(await focusOf(shown)).toBe('BUTTON Edit');
});

test('the list that a device was opened from has its new name, in its place', async () => {
  const {shown} = await open();
  await shown.goto(new URL('/devices', shown.url()).href);
  await shown.getByRole('link', {name: 'pi-000001'}).click();
  await edit(shown);
  await shown.getByLabel('Name', {exact: true}).fill('greenhouse');
  await shown.getByRole('button', {name: 'Save'}).click();
  await shown.getByRole('heading', {level: 1, name: 'greenhouse'}).waitFor();
  await shown.goBack();
  await shown.getByRole('link', {name: 'greenhouse'}).waitFor();
});

test('a list in which a device was changed is as old as it was', async () => {
  const {shown, state} = await open();
  await shown.goto(new URL('/devices', shown.url()).href);
  await shown.getByRole('link', {name: 'pi-000001'}).click();
  await shown.getByRole('heading', {level: 1}).waitFor();
  await shown.clock.setFixedTime(Date.now() + 60_000);
  await edit(shown);
  await shown.getByLabel('Name', {exact: true}).fill('greenhouse');
  await shown.getByRole('button', {name: 'Save'}).click();
  await shown.getByRole('heading', {level: 1, name: 'greenhouse'}).waitFor();
  state.rows = [row(0), row(1), row(2)];
  await shown.getByRole('navigation', {name: 'Views'}).getByRole('link', {name: 'Devices'}).click();
  await shown.getByText('pi-000002').waitFor();
});

test('nothing is sent where nothing is changed, where it is left, or where two tags have one name', async () => {
  const {shown, sent} = await open();
  const closed = () => shown.getByRole('dialog').waitFor({state: 'hidden'});
  await edit(shown);
  await shown.getByRole('button', {name: 'Save'}).click();
  await closed();
  await edit(shown);
  await shown.getByLabel('Name', {exact: true}).fill('x');
  await shown.keyboard.press('Escape');
  await closed();
  await edit(shown);
  expect(await shown.getByLabel('Name', {exact: true}).inputValue()).toBe('pi-000001');
  await shown.getByRole('textbox', {name: 'Name of tag 2'}).fill('site');
  await shown.getByRole('button', {name: 'Save'}).click();
  await shown.getByRole('alert').filter({hasText: 'Two tags have the same name.'}).waitFor();
  expect(sent).toEqual([]);
});

test('who comes too late is told so, and begins again with what the device is by then', async () => {
  const {shown, sent, state} = await open();
  await edit(shown);
  await shown.getByLabel('Name', {exact: true}).fill('mine');
  state.isStale = true;
  state.is = {...state.is, name: 'theirs', revision: 2};
  await shown.getByRole('button', {name: 'Save'}).click();
  await shown.getByRole('alert').filter({hasText: 'Somebody else has changed this device meanwhile.'}).waitFor();
  await shown.getByRole('button', {name: /Begin again/}).click();
  await until(
    'the form to have it',
    async () => (await shown.getByLabel('Name', {exact: true}).inputValue()) === 'theirs',
  );
  state.isStale = false;
  await shown.getByLabel('Name', {exact: true}).fill('mine');
  await shown.getByRole('button', {name: 'Save'}).click();
  await shown.getByRole('dialog').waitFor({state: 'hidden'});
  expect(sent.map(({headers}) => headers['if-match'])).toEqual(['"1"', '"2"']);
});

test('a device is shut out after a question, and let in again; not by who goes back from it', async () => {
  const {shown, sent} = await open();
  await question(shown, 'Revoke');
  await shown.keyboard.press('Escape');
  await shown.getByRole('dialog').waitFor({state: 'hidden'});
  expect(sent).toEqual([]);
  for (const [action, notices] of [
    ['Revoke', [/^Revoked .* Its credential no longer works/]],
    ['Decommission', [/^Decommissioned .* It is out of service/]],
    ['Reinstate', []],
  ] as const) {
    await shown.getByRole('button', {name: action, exact: true}).focus();
    await shown.keyboard.press('Enter');
    await shown.getByRole('heading', {name: `${action} this device?`}).waitFor();
    // From the answer that changes nothing.
    await shown.keyboard.press('Tab');
    expect(await focusOf(shown)).toBe(`BUTTON ${action} it`);
    await shown.keyboard.press('Enter');
    await shown.getByText(`${action}${action.endsWith('e') ? '' : 'e'}d.`, {exact: true}).waitFor();
    expect(await shown.locator('.notice').allInnerTexts()).toEqual(
      notices.map((notice) => expect.stringMatching(notice) as unknown),
    );
    expect(await shown.evaluate('document.activeElement.textContent')).toBe('Access');
  }
  expect(sent.map(({method, path}) => `${method} ${path}`)).toEqual(
    ['revoke', 'decommission', 'reinstate'].map((action) => `POST /api/v1${PATH}/${action}`),
  );
  await shown.getByTestId('sync-now').waitFor();
});

/** Holds the answer to a change back. @returns how to let it go */
const hold = async (shown: Page, path: string): Promise<() => void> => {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await shown.route(`**${path}`, async (held) => {
    if (held.request().method() !== 'GET') await released;
    await held.fallback();
  });
  return release;
};

test('what is under way cannot be left, and what came of it is told', async () => {
  const {shown, sent} = await open({
    refuse: (method, url) =>
      method === 'POST' && url.pathname.endsWith('/revoke') ? refusal(503, 'The shard is away.') : undefined,
  });
  const release = await hold(shown, `${PATH}/revoke`);
  await question(shown, 'Revoke');
  const yes = shown.getByRole('button', {name: 'Revoke it'});
  await yes.focus();
  await shown.keyboard.press('Enter');
  await shown.getByRole('button', {name: 'Revoking…'}).waitFor();
  await shown.keyboard.press('Escape');
  await shown.keyboard.press('Escape');
  await shown.getByRole('button', {name: 'Keep it'}).click({force: true});
  expect(await shown.getByRole('dialog').isVisible()).toBe(true);
  release();
  await shown.getByRole('alert').filter({hasText: 'The shard is away.'}).waitFor();
  await yes.focus();
  await shown.keyboard.press('Enter');
  await until('another try', () => sent.length === 2);
  await yes.waitFor();
  expect(await focusOf(shown)).toBe('BUTTON Revoke it');
  await shown.getByRole('button', {name: 'Keep it'}).click();
  await shown.getByRole('dialog').waitFor({state: 'hidden'});
  expect(await focusOf(shown)).toBe('BUTTON Revoke');
});

test('the form that is saved stays until it is, so that its answer closes no other', async () => {
  const {shown} = await open();
  const release = await hold(shown, PATH);
  await edit(shown);
  await shown.getByLabel('Name', {exact: true}).fill('greenhouse');
  await shown.getByRole('button', {name: 'Save'}).click();
  await shown.getByRole('button', {name: 'Saving…'}).waitFor();
  await shown.keyboard.press('Escape');
  await shown.keyboard.press('Escape');
  await shown.getByRole('button', {name: 'Cancel'}).click({force: true});
  expect(await shown.getByLabel('Name', {exact: true}).inputValue()).toBe('greenhouse');
  release();
  await shown.getByRole('dialog').waitFor({state: 'hidden'});
  await shown.getByRole('heading', {level: 1, name: 'greenhouse'}).waitFor();
});

test.each([
  ['operator', BOB, ['Edit'], []],
  ['viewer', {...BOB, role: 'viewer'}, [], ['Edit']],
] as const)('%s is offered what he may do', async (_role, session, offered, notOffered) => {
  const {shown} = await open({session});
  for (const name of offered) await shown.getByRole('button', {name}).waitFor();
  for (const name of [...notOffered, 'Revoke', 'Decommission'])
    expect(await shown.getByRole('button', {name, exact: true}).count()).toBe(0);
});

test('the list is of what is shut out, or claimed by two machines, alone, and the address says so', async () => {
  const asked: (string | null)[] = [];
  const {shown} = await showPage('/devices', {
    over: (_method, url) => {
      if (isList(url)) asked.push(url.searchParams.get('filter'));
      return undefined;
    },
  });
  const select = shown.getByRole('combobox', {name: 'Only'});
  for (const [label, mark] of [
    ['Revoked', 'revoked'],
    ['Decommissioned', 'decommissioned'],
    ['Two machines', 'disputed'],
  ] as const) {
    await select.selectOption({label});
    await until('the list to be asked for', () => asked.at(-1) === `${mark}==true`);
    expect(new URL(shown.url()).searchParams.get('mark')).toBe(mark);
  }
});
