/** Searching and sorting the device list. With an API of the test's own; needs a browser and no cluster. */
import {expect, test} from '@jest/globals';
import {until} from '@pisync/core/testing/until';
import type {MockApi} from './dashboard.ts';
import {AT, idOf, isList, list} from './mock-region.ts';
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
