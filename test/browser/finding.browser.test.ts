/** Searching and sorting the device list. With an API of the test's own; needs a browser and no cluster. */
import {expect, test} from '@jest/globals';
import {until} from '@pisync/core/testing/until';
import type {MockApi} from './dashboard.ts';
import {AT, idOf, isList, list, nameOf, refusal, row} from './mock-region.ts';
import {usePages} from './pages.ts';

const showPage = usePages();

/** Answers with devices that are named by what was asked for. */
const found: MockApi = (_method, url) => {
  if (!isList(url)) return undefined;
  const asked = (name: string): string => url.searchParams.get(name) ?? '';
  const data = Array.from({length: 200}, (_, index) => ({
    id: idOf(index),
    name: `${asked('q')} by ${asked('sort')} ${index}`,
  }));
  const count = asked('count') === 'true' ? {count: {value: 12_345, exact: true, atLeast: false, asOf: AT}} : {};
  return list(data, {hasNextPage: true, nextCursor: 'c', ...count});
};

test('what is typed is searched for, a head sorts and keeps the focus, the address says both, and the total is told', async () => {
  const {shown} = await showPage('/devices', {over: found});
  await shown.getByText(`12,345 devices, `).waitFor();
  await shown.getByRole('searchbox', {name: 'Search devices'}).pressSequentially('attic');
  await shown.getByText('attic by 0', {exact: false}).first().waitFor();
  expect(await shown.evaluate('document.activeElement.type')).toBe('search');

  const head = shown.getByRole('columnheader', {name: 'Last sync'});
  await head.getByRole('link').focus();
  for (const [direction, sort] of [
    ['ascending', 'lastSync'],
    ['descending', '-lastSync'],
    ['none', ''],
  ] as const) {
    await shown.keyboard.press('Enter');
    await shown.getByText(`attic by ${sort} 0`).waitFor();
    expect(await head.getAttribute('aria-sort')).toBe(direction);
    expect(await shown.evaluate('document.activeElement.closest("[role=columnheader]") !== null')).toBe(true);
    await until('the address', () => new URL(shown.url()).searchParams.get('sort') === (sort === '' ? null : sort));
  }
  await shown.keyboard.press('Enter');
  await shown.reload();
  await shown.getByText('attic by lastSync 0').waitFor();
  expect(await shown.getByRole('searchbox').inputValue()).toBe('attic');
  await shown.getByRole('searchbox').fill('');
  await shown.getByText('by lastSync 0', {exact: false}).first().waitFor();
  await until('the address', () => new URL(shown.url()).searchParams.get('q') === null);
}, 60_000);

test('a device that comes with two pages is shown once, as it was last', async () => {
  const {shown} = await showPage('/devices?sort=lastSync', {
    over: (_method, url) => {
      if (!isList(url)) return undefined;
      if (url.searchParams.get('cursor') === null) {
        return list(
          Array.from({length: 200}, (_, index) => row(index)),
          {hasNextPage: true, nextCursor: 'c'},
        );
      }
      return list([row(200), {...row(199), name: 'seen again'}]);
    },
  });
  await shown.getByTestId('device-row').first().getByRole('link').focus();
  await shown.keyboard.press('End');
  await shown.getByText('201 devices', {exact: true}).waitFor();
  await shown.keyboard.press('End');
  await shown.getByRole('link', {name: nameOf(200)}).waitFor();
  expect(await shown.locator(`[data-device-id="${idOf(199)}"]`).allInnerTexts()).toEqual([
    expect.stringContaining('seen again') as unknown,
  ]);
});

/** Of a page that found nothing in what it looked at. */
const NOTHING = {hasNextPage: true, count: {value: 37, exact: false, atLeast: true, asOf: AT}};

test('a search goes on by itself where it found nothing so far, and says so', async () => {
  let isAway = true;
  const asked: (string | null)[] = [];
  const {shown} = await showPage('/devices?q=attic', {
    over: (_method, url) => {
      if (!isList(url)) return undefined;
      const cursor = url.searchParams.get('cursor');
      asked.push(cursor);
      if (cursor === null) return list([], {...NOTHING, nextCursor: 'one'});
      if (cursor === 'one') return list([], {...NOTHING, nextCursor: 'two'});
      return isAway ? refusal(400, 'The shard is away.') : list([row(7)]);
    },
  });
  await shown.getByText('The shard is away.').waitFor();
  await shown.getByText('Still looking', {exact: true}).waitFor();
  expect(await shown.getByText('No device matches').count()).toBe(0);
  isAway = false;
  await shown.getByRole('button', {name: 'Try again'}).click();
  await shown.getByText(nameOf(7)).waitFor();
  await shown.getByText('1 device', {exact: true}).waitFor();
  expect(asked).toEqual([null, 'one', 'two', 'two']);
});

test('what the search field shows is what is searched for', async () => {
  const {shown} = await showPage('/devices?status=late', {over: found});
  const field = shown.getByRole('searchbox');
  const isAsked = (status: string | null, q: string | null): Promise<unknown> =>
    until('the address', () => {
      const {searchParams} = new URL(shown.url());
      return searchParams.get('status') === status && searchParams.get('q') === q;
    });
  // At once after the last letter.
  await field.pressSequentially('oak');
  await shown.getByRole('link', {name: 'Silent'}).click();
  await isAsked('silent', 'oak');
  expect(await field.inputValue()).toBe('oak');
  await shown.getByRole('navigation', {name: 'Views'}).getByRole('link', {name: 'Devices'}).click();
  await isAsked(null, null);
  expect(await field.inputValue()).toBe('');
  await field.pressSequentially('elm');
  await isAsked(null, 'elm');
  // The field has the focus.
  await shown.goBack();
  await isAsked('silent', 'oak');
  await until('the field', async () => (await field.inputValue()) === 'oak');
});

test.each([
  [new Date(Date.now() - 6 * 3_600_000).toISOString(), /, sorted as of 6 h ago/],
  [null, /, not sorted yet/],
  [undefined, /as of [^,]*$/],
])('of a list that is sorted as of %s it is said', async (sortedAsOf, text) => {
  const {shown} = await showPage('/devices?sort=lastSync', {
    over: (_method, url) => (isList(url) ? list([row(0)], {sortedAsOf}) : undefined),
  });
  await shown.getByText('1 device', {exact: true}).waitFor();
  const said = await shown.locator('.page-head p').innerText();
  expect(said.replace('Read again', '').trim()).toMatch(text);
});
