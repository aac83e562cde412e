/** That the page's own words and numbers are true, whatever devices and clocks say. Needs a browser and no cluster. */
import {expect, test} from '@jest/globals';
import type {Page} from 'playwright-core';
import {AT, COUNTS, device, idOf, isList, list, nameOf, row} from './mock-region.ts';
import {usePages} from './pages.ts';

const show = usePages();

/** Ends an isolation and overrides the direction of what follows. */
const TURN = '\u2069\u202e';

/** Where these words begin, from left to right; they are on one line. */
const leftOf = (shown: Page, words: readonly string[]): Promise<readonly number[]> =>
  shown.evaluate<number[]>(`${JSON.stringify(words)}.map((word) => {
    const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    for (let text = texts.nextNode(); text !== null; text = texts.nextNode()) {
      const at = text.data.indexOf(word);
      if (at < 0) continue;
      const range = document.createRange();
      range.setStart(text, at);
      range.setEnd(text, at + 1);
      return range.getBoundingClientRect().left;
    }
    throw new Error('not on the page: ' + word);
  })`);

const inOrder = async (shown: Page, words: readonly string[]): Promise<void> => {
  const places = await leftOf(shown, words);
  expect({words, places}).toEqual({words, places: places.toSorted((a, b) => a - b)});
};

test('what a device calls itself turns no word of the page round', async () => {
  const turned = {
    hardwareId: `${TURN}hw`,
    disputedUntil: AT,
    tags: {[`${TURN}t`]: {[`${TURN}a`]: 12}},
    state: {nested: [`${TURN}x`, 345]},
  };
  const {shown} = await show(`/devices/${idOf(1)}?list=records`, {
    viewport: {width: 2400, height: 1200},
    over: (_method, url) => {
      if (url.pathname.endsWith('/records')) {
        const data = {text: `${TURN}${'x'.repeat(80)}`};
        return list([{epoch: 'e1', batchSeq: 1, ordinal: 0, seq: 1, kind: 'k', deviceTime: AT, receivedAt: AT, data}]);
      }
      return url.pathname.endsWith(idOf(1)) ? {body: {data: {...device(1), ...turned}, asOf: AT}} : undefined;
    },
  });
  await shown.getByText('Two machines may be this device.').waitFor();
  await inOrder(shown, ['have the hardware id', 'give one', 'one of them']);
  await shown.locator('details.data summary').click();
  // Only what stands alone may have what turns it.
  const texts = await shown.locator('main code, main pre, main dd').allInnerTexts();
  expect(texts.filter((text) => text.includes('\u202e'))).toEqual([turned.hardwareId]);
  for (const text of ['{"\\u2069\\u202ea":12}', '["\\u2069\\u202ex",345]']) expect(texts).toContain(text);
});

test('an address turns no word of the page round', async () => {
  const {shown} = await show(`/devices/${encodeURIComponent(`${TURN}x`)}`, {
    over: (_method, url) => (url.pathname.includes('/devices/') ? {status: 404, body: {title: 'No'}} : undefined),
  });
  await shown.getByText('There is no such device').waitFor();
  await inOrder(shown, ['is enrolled', 'in this region']);
});

const summaryOf = (more: object) => ({
  body: {region: 'eu', byGroup: [], byShard: [], asOf: AT, ageSeconds: 3, ...more},
});
const NONE = {devices: 0, byStatus: {pending: 0, on_time: 0, late: 0, silent: 0, failing: 0}};

test('a region of which no shard answers is not said to have no devices', async () => {
  let isAway = true;
  const {shown} = await show('/', {
    over: (_method, url) =>
      url.pathname.includes('/region/')
        ? summaryOf({...NONE, ...(isAway ? {partial: ['shard-0', 'shard-1']} : {})})
        : undefined,
  });
  await shown.getByText('Nobody knows now how many devices there are').waitFor();
  const words = await shown.locator('main').innerText();
  expect(words).not.toMatch(/no device has/i);
  expect(words).not.toMatch(/^0/m);
  expect(await shown.getByTestId('tile-late').innerText()).toContain('–');
  isAway = false;
  await shown.getByRole('button', {name: 'Try again'}).click();
  await shown.getByText('No device has enrolled yet').waitFor();
  expect(await shown.getByTestId('tile-late').innerText()).toContain('0');
});

test.each([-3_600_000, 3_600_000])(
  'ages are by the clock of the server where that of the reader is %i ms off',
  async (offMs) => {
    const {shown} = await show('/', {
      script: `{ const {now} = Date; Date.now = () => now() + ${offMs}; }`,
      over: (_method, url) =>
        url.pathname.includes('/region/')
          ? summaryOf({devices: 1240, byStatus: COUNTS, asOf: new Date(Date.now() - 330_000).toISOString()})
          : undefined,
    });
    await shown.getByText('As of 5 min ago').waitFor();
  },
);

test('a filter of a group without a name is not the filter of any', async () => {
  const {shown, calls} = await show('/devices?group=', {
    over: (_method, url) =>
      url.pathname.endsWith('/groups')
        ? list(['', 'north'].map((name, id) => ({id, name, kind: 'static'})))
        : isList(url)
          ? list([row(1)])
          : undefined,
  });
  await shown.getByText(nameOf(1)).waitFor();
  const select = shown.getByRole('combobox', {name: 'Group'});
  expect(await select.locator('option:checked').innerText()).toBe('(empty name)');
  await select.selectOption({label: 'north'});
  await shown.waitForURL(/group=north/);
  await select.selectOption({label: '(empty name)'});
  await shown.waitForURL(/group=$/);
  await select.selectOption({label: 'Any'});
  await shown.waitForURL(/devices$/);
  expect(calls.filter((call) => call.includes(encodeURIComponent('group==""')))).not.toEqual([]);
});

test('the longest name of a group leaves its counts on the screen', async () => {
  const breakdown = {devices: 1240, byStatus: COUNTS};
  const {shown} = await show('/', {
    over: (_method, url) =>
      url.pathname.includes('/region/')
        ? summaryOf({...breakdown, byGroup: [{group: 'W'.repeat(64), ...breakdown}]})
        : undefined,
  });
  const table = shown.locator('.breakdown').first();
  await table.getByRole('link', {name: 'WWW'}).first().waitFor();
  const [content, box] = await shown.evaluate<[number, number]>(
    `{ const {scrollWidth, clientWidth} = document.querySelector('.breakdown .scroll-x'); [scrollWidth, clientWidth]; }`,
  );
  expect(content).toBe(box);
});
