/** Who sees what when a session ends or another begins. With an API of the test's own; needs a browser and no cluster. */
import {describe, expect, test} from '@jest/globals';
import type {Page} from 'playwright-core';
import {until} from '../e2e/kit/until.ts';
import type {MockApi} from './dashboard.ts';
import {ANN, AT, BOB, device, idOf, isList, list, refusal, row} from './mock-region.ts';
import {usePages} from './pages.ts';

const show = usePages();

const SEEN_BY_BOB = {...BOB, role: 'viewer', groups: ['south']};
const PATH = `/devices/${idOf(1)}`;

/** A region where the cookie can become another one, or go. Ann alone sees the device and what is in the north. */
const region = () => {
  const state: {who: typeof ANN | typeof SEEN_BY_BOB; isIn: boolean; next: object} = {
    who: ANN,
    isIn: true,
    next: ANN,
  };
  const over: MockApi = (method, url, headers) => {
    const isSession = url.pathname.endsWith('/session');
    if (method === 'POST' && isSession) {
      Object.assign(state, {who: state.next, isIn: true});
      return {body: state.who};
    }
    if (!state.isIn) return refusal(401, 'Sign in.');
    if (method !== 'GET' && headers['x-csrf-token'] !== state.who.csrfToken) return refusal(403, 'No.');
    if (isSession) return {body: state.who};
    const isAnn = state.who.name === 'ann';
    if (isList(url))
      return isAnn ? list([{...row(1), name: 'of the north'}]) : list([{...row(5), name: 'of the south'}]);
    if (!isAnn && url.pathname.startsWith(`/api/v1${PATH}`)) return refusal(404, 'There is no such device.');
    if (method === 'PATCH') return {body: {data: {...device(1), name: 'typed', revision: 2}, asOf: AT}};
    return undefined;
  };
  return {state, over};
};

/** The window is looked at again. */
const lookedAt = (shown: Page): Promise<unknown> => shown.evaluate(`window.dispatchEvent(new Event('focus'))`);

const signIn = async (shown: Page): Promise<void> => {
  const form = shown.getByTestId('sign-in');
  await form.getByLabel('API token').fill('x');
  await form.getByLabel('API token').press('Enter');
  await form.waitFor({state: 'detached'});
};

describe('what one person has read is not shown to another', () => {
  test('who signed in in another tab', async () => {
    const {state, over} = region();
    const {shown} = await show('/devices', {over});
    await shown.getByText('of the north').waitFor();
    state.who = SEEN_BY_BOB;
    await lookedAt(shown);
    await shown.getByText('Another tab signed in as bob (viewer).').waitFor();
    await shown.getByText('of the south').waitFor();
    expect(await shown.content()).not.toContain('of the north');
  });

  test('who signs in where the session ended', async () => {
    const {state, over} = region();
    const {shown} = await show(PATH, {over});
    await shown.getByRole('button', {name: 'Edit'}).click();
    await shown.getByLabel('Name', {exact: true}).fill('typed');
    Object.assign(state, {isIn: false, next: SEEN_BY_BOB});
    await lookedAt(shown);
    await shown.getByText('Your session has ended').waitFor();
    await signIn(shown);
    await shown.getByText('There is no such device').waitFor();
    expect(await shown.getByRole('dialog').count()).toBe(0);
    expect(await shown.locator('.notice').count()).toBe(0);
    await shown.getByRole('link', {name: 'Show all devices'}).click();
    await shown.getByText('of the south').waitFor();
  });

  test('who has the same name, and nothing is done as that one', async () => {
    const {state, over} = region();
    const {shown, calls} = await show(PATH, {over});
    await shown.getByRole('button', {name: 'Edit'}).click();
    await shown.getByLabel('Name', {exact: true}).fill('typed');
    state.who = {...ANN, csrfToken: 'of-another-ann', groups: ['north']};
    await shown.getByRole('button', {name: 'Save'}).click();
    await shown.getByText('Another tab signed in as ann (admin).').waitFor();
    expect(calls.filter((call) => call.startsWith('PATCH'))).toHaveLength(1);
  });

  test('whose page it is when a change is answered', async () => {
    const {state, over} = region();
    const {shown, calls} = await show(PATH, {
      over: (method, url, headers) =>
        // Bob sees it too, as it is.
        method === 'GET' && url.pathname === `/api/v1${PATH}`
          ? {body: {data: device(1), asOf: AT}}
          : over(method, url, headers),
    });
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await shown.route(`**${PATH}`, async (held) => {
      if (held.request().method() !== 'PATCH') return held.fallback();
      const answer = await held.fetch();
      await released;
      return held.fulfill({response: answer});
    });
    await shown.getByRole('button', {name: 'Edit'}).click();
    await shown.getByLabel('Name', {exact: true}).fill('typed');
    const answered = shown.waitForResponse((response) => response.request().method() === 'PATCH');
    await shown.getByRole('button', {name: 'Save'}).click();
    await until('the change', () => Promise.resolve(calls.some((call) => call.startsWith('PATCH')) || undefined));
    state.who = SEEN_BY_BOB;
    await lookedAt(shown);
    await shown.getByText('Another tab signed in as bob').waitFor();
    await shown.getByRole('heading', {level: 1, name: 'pi-000001'}).waitFor();
    release();
    await (await answered).finished();
    // What is drawn after the answer.
    await shown.evaluate('new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 100)))');
    expect(await shown.getByRole('heading', {level: 1}).innerText()).toBe('pi-000001');
  });

  test('a device that one may not see any more', async () => {
    let isGone = false;
    const {shown} = await show(PATH, {
      over: (method, url) => {
        if (!url.pathname.startsWith(`/api/v1${PATH}`)) return undefined;
        // It is read again soon after.
        if (method === 'POST') isGone = true;
        return isGone && method === 'GET' ? refusal(404, 'There is no such device.') : undefined;
      },
    });
    await shown.getByTestId('sync-now').click();
    await shown.getByText('There is no such device').waitFor();
    expect(await shown.getByText('hw-1').count()).toBe(0);
  });
});

describe('after the end of the session the same person finds', () => {
  test('what he had typed, where he was', async () => {
    const {state, over} = region();
    const {shown} = await show(PATH, {over});
    await shown.getByLabel('Everything').check();
    await shown.getByRole('button', {name: 'Edit'}).click();
    const name = shown.getByLabel('Name', {exact: true});
    await name.fill('typed');
    state.isIn = false;
    await name.press('Enter');
    await shown.getByText('Your session has ended').waitFor();
    // Nothing but the form can be reached, and it stays.
    await shown.keyboard.press('Escape');
    await shown.keyboard.press('Escape');
    expect(await shown.evaluate('document.activeElement.id')).toBe('token');
    await signIn(shown);
    expect(await shown.evaluate('document.activeElement.value')).toBe('typed');
    expect(await shown.title()).toContain('Device');
    await name.press('Enter');
    await shown.getByRole('dialog').waitFor({state: 'hidden'});
    await shown.getByRole('heading', {level: 1, name: 'typed'}).waitFor();
    expect(await shown.getByLabel('Everything').isChecked()).toBe(true);
  });
});
