/** Where the focus of a reader is who has no pointer. Needs a browser and no cluster. */
import {expect, test} from '@jest/globals';
import type {Page} from 'playwright-core';
import {until} from '../e2e/kit/until.ts';
import type {MockApi} from './dashboard.ts';
import {ANN, idOf, isList, list, nameOf, refusal, row, SYNC} from './mock-region.ts';
import {focusOf, usePages} from './pages.ts';

const show = usePages();

test('a button that loads what is older keeps the focus, also when there is nothing older', async () => {
  const {shown} = await show(`/devices/${idOf(1)}`, {
    over: (_method, url) => {
      if (!url.pathname.endsWith('/syncs')) return undefined;
      const from = Number(url.searchParams.get('cursor') ?? 0);
      return list([{...SYNC, batchSeq: 1000 - from}], {hasNextPage: from < 2, nextCursor: String(from + 1)});
    },
  });
  await shown.getByRole('button', {name: 'Show older'}).focus();
  for (const [batch, button] of [
    ['e1:999', 'BUTTON Show older'],
    ['e1:998', 'BUTTON Nothing older'],
  ] as const) {
    await shown.keyboard.press('Enter');
    await shown.getByText(batch).waitFor();
    expect(await focusOf(shown)).toBe(button);
  }
});

test('a button that asks a device to sync keeps the focus, and asks once', async () => {
  const {shown, calls} = await show(`/devices/${idOf(1)}`);
  await shown.getByTestId('sync-now').focus();
  // Before the answer to the first can be there.
  await shown.evaluate(`{ const button = document.activeElement; button.click(); setTimeout(() => button.click()); }`);
  await shown.getByText('Queued.').waitFor();
  expect(await focusOf(shown)).toBe('BUTTON Ask to sync');
  expect(calls.filter((call) => call.startsWith('POST'))).toHaveLength(1);
});

test('a wrong token takes the focus to its field, a right one to the view', async () => {
  let [isIn, isRight] = [false, false];
  const {shown} = await show('/', {
    over: (method, url) => {
      if (method === 'POST' && url.pathname.endsWith('/session')) {
        isIn = isRight;
        return isIn ? {body: ANN} : refusal(401, 'This API token does not exist.');
      }
      return isIn ? undefined : refusal(401, 'Sign in.');
    },
  });
  await shown.getByLabel(/token/i).fill('wrong');
  await shown.getByRole('button', {name: 'Sign in'}).focus();
  await shown.keyboard.press('Enter');
  await shown.getByRole('alert').waitFor();
  expect(await focusOf(shown)).toBe('INPUT');
  isRight = true;
  await shown.getByRole('button', {name: 'Sign in'}).focus();
  await shown.keyboard.press('Enter');
  await shown.getByTestId('summary-tiles').waitFor();
  expect(await focusOf(shown)).toBe('MAIN');
});

test('a page that is opened by somebody who is signed in begins at its top', async () => {
  const {shown} = await show('/');
  await shown.getByTestId('summary-tiles').waitFor();
  expect(await focusOf(shown)).toBe('BODY');
});

test('a button that reads the list again keeps the focus', async () => {
  let firstName = 0;
  const {shown} = await show('/devices', {
    over: (_method, url) => (isList(url) ? list([0, 1, 2, 3].map((index) => row(firstName + index))) : undefined),
  });
  await shown.getByRole('link', {name: nameOf(2)}).focus();
  await until('the place in the history entry', async () =>
    (await shown.evaluate('history.state?.place?.row')) === 2 ? true : undefined,
  );
  firstName = 10;
  await shown.getByRole('button', {name: 'Read again'}).focus();
  await shown.keyboard.press('Enter');
  await shown.getByText(nameOf(12)).waitFor();
  expect(await focusOf(shown)).toBe('BUTTON Read again');
});

test('where what had the focus goes away, the reader is not taken out of the view', async () => {
  let isAway = true;
  const over: MockApi = (_method, url) => {
    if (isAway && url.pathname.endsWith('/summary')) return refusal(400, 'Nobody counts now.');
    if (isList(url) && url.searchParams.get('filter') === 'status==silent') return list([]);
    if (!url.pathname.endsWith('/syncs')) return undefined;
    const from = Number(url.searchParams.get('cursor') ?? 0);
    return list([{...SYNC, batchSeq: 1000 - from}], {hasNextPage: true, nextCursor: String(from + 1)});
  };
  const presses = async (shown: Page, role: 'button' | 'link', name: string): Promise<void> => {
    await shown.getByRole(role, {name}).focus();
    await shown.keyboard.press('Enter');
  };
  const {shown, url} = await show('/', {over});
  await shown.getByText('Nobody counts now.').waitFor();
  isAway = false;
  await presses(shown, 'button', 'Try again');
  await shown.getByTestId('summary-tiles').waitFor();
  expect(await focusOf(shown)).toBe('MAIN');

  await shown.goto(`${url}/devices?status=silent`);
  await presses(shown, 'link', 'Show all devices');
  await shown.getByTestId('device-row').first().waitFor();
  expect(await focusOf(shown)).toBe('MAIN');

  await shown.goto(`${url}/devices/${idOf(1)}`);
  for (const batch of ['e1:999', 'e1:998', 'e1:997']) {
    await presses(shown, 'button', 'Show older');
    await shown.getByText(batch).waitFor();
  }
  await presses(shown, 'button', 'Show the newest');
  await shown.getByText('e1:997').waitFor({state: 'detached'});
  await shown.getByText('e1:1000').waitFor();
  expect(await focusOf(shown)).toBe('MAIN');
});
