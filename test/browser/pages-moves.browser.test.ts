/** What the dashboard says, and where the reader is, when something happens meanwhile. With an API of the test's own; needs a browser and no cluster. */
import {describe, expect, test} from '@jest/globals';
import {LATE_AFTER_MS} from '@pisync/core/devices/device-status';
import type {Page} from 'playwright-core';
import {until} from '../e2e/kit/until.ts';
import {ANN, BOB, idOf, isList, list, nameOf, PAGE, refusal, row, SYNC} from './mock-region.ts';
import {focusOf, usePages} from './pages.ts';

const show = usePages();

/** The window is looked at again. */
const lookedAt = (shown: Page): Promise<unknown> => shown.evaluate(`window.dispatchEvent(new Event('focus'))`);

const focused = (shown: Page, name: string): Promise<void> =>
  shown.locator('[data-testid="device-row"] a:focus').filter({hasText: name}).waitFor({timeout: 10_000});

/** A minute later, by the reader's clock. */
const later = (shown: Page): Promise<void> => shown.clock.setFixedTime(Date.now() + 60_000);

const isOfList = (call: string): boolean => call.startsWith('GET /api/v1/devices?');

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

/** One of these rows. */
const sees = (shown: Page, ...indexes: readonly number[]): Promise<true> =>
  until(
    `row ${indexes.join(' or ')} on the screen`,
    async () => ((await seen(shown)).some((index) => indexes.includes(index)) ? true : undefined),
    {timeoutMs: 10_000},
  );

describe('a shard that does not answer', () => {
  const CUT = {partial: ['shard-1'], nextCursor: 'later'};

  test('is not said to have no devices, and what it has comes once it answers', async () => {
    let isDead = true;
    const {shown} = await show('/devices?shard=1', {
      over: (_method, url) => (isList(url) ? (isDead ? list([], CUT) : list([row(1)])) : undefined),
    });
    await shown.getByText('Nobody knows now which devices match').waitFor();
    expect(await shown.locator('main').innerText()).not.toMatch(/no device/i);
    isDead = false;
    await shown.getByRole('button', {name: 'Try again'}).click();
    await shown.getByText(nameOf(1)).waitFor();
    await shown.getByText('1 device', {exact: true}).waitFor();
  });

  test('is asked again behind the end of the list, and is missing until its devices came', async () => {
    let isDead = true;
    const {shown} = await show('/devices', {
      over: (_method, url) => {
        if (!isList(url)) return undefined;
        if (url.searchParams.get('cursor') === null) return list([row(0)], CUT);
        return isDead ? list([], CUT) : list([row(1)]);
      },
    });
    await shown.getByText('1 loaded, others are missing').waitFor();
    await shown.getByText('shard-1 did not answer').waitFor();
    isDead = false;
    // By itself.
    await shown.getByText(nameOf(1)).waitFor({timeout: 20_000});
    await shown.getByText('2 devices', {exact: true}).waitFor();
    expect(await shown.getByText('Incomplete').count()).toBe(0);
  });
});

describe('another tab', () => {
  test('signs in as somebody else: this one says so when it is looked at', async () => {
    let who = ANN;
    const {shown} = await show('/', {
      over: (_method, url) => (url.pathname.endsWith('/session') ? {body: who} : undefined),
    });
    await shown.getByText('ann').waitFor();
    who = BOB;
    await lookedAt(shown);
    await shown.getByText('bob', {exact: true}).waitFor();
  });

  test('signs in as somebody else: nothing is done as a person whom the page did not name', async () => {
    let who = ANN;
    const done: string[] = [];
    const {shown} = await show(`/devices/${idOf(1)}`, {
      over: (method, url, headers) => {
        if (method !== 'GET' && headers['x-csrf-token'] !== who.csrfToken) return refusal(403, 'The token is missing.');
        if (method !== 'GET') done.push(`${method} by ${who.name}`);
        if (!url.pathname.endsWith('/session')) return undefined;
        return method === 'GET' ? {body: who} : {status: 204, body: ''};
      },
    });
    await shown.getByTestId('sync-now').waitFor();
    who = BOB;
    await shown.getByTestId('sync-now').click();
    await shown.getByText('Another tab signed in as bob').waitFor();
    who = {...ANN, csrfToken: 'of-ann-again'};
    await shown.getByRole('button', {name: 'Sign out'}).click();
    await shown.getByText('Another tab signed in as ann').waitFor();
    expect(done).toEqual([]);
    await shown.getByTestId('sync-now').click();
    await shown.getByText('Queued.').waitFor();
    expect(done).toEqual(['POST by ann']);
  });

  test('signs in again after the session ended: this one goes on, too', async () => {
    let isIn = true;
    const {shown} = await show('/', {over: () => (isIn ? undefined : refusal(401, 'Sign in.'))});
    await shown.getByTestId('summary-tiles').waitFor();
    isIn = false;
    await lookedAt(shown);
    await shown.getByText('Your session has ended').waitFor();
    isIn = true;
    await lookedAt(shown);
    await shown.getByTestId('summary-tiles').waitFor();
  });
});

describe('where the reader is in the list', () => {
  test('survives the end of the session', async () => {
    let isIn = true;
    const {shown} = await show('/devices', {
      over: (method, url) => {
        if (method === 'POST' && url.pathname.endsWith('/session')) {
          isIn = true;
          return {body: ANN};
        }
        return isIn ? undefined : refusal(401, 'Sign in.');
      },
    });
    await goDownTo(shown, 599);
    await shown.getByText('800 loaded').waitFor();
    isIn = false;
    await shown.keyboard.press('End');
    await shown.getByText('Your session has ended').waitFor();
    await shown.getByLabel(/token/i).fill('x');
    await shown.getByLabel(/token/i).press('Enter');
    // The next rows may have been asked for before the key came, and where he rested is good as well.
    await sees(shown, 599, 799);
    expect(await shown.getByRole('alert').count()).toBe(0);
  });

  test('survives another column', async () => {
    const {shown, calls} = await show('/devices');
    await goDownTo(shown, 599);
    await shown.getByText('800 loaded').waitFor();
    const before = calls.length;
    await later(shown);
    await shown.getByText('Columns', {exact: true}).click();
    await shown.getByLabel('Model').check();
    await shown.getByRole('columnheader', {name: 'Model'}).waitFor();
    await sees(shown, 599);
    await shown.getByText('Pi 5').first().waitFor();
    expect(calls.slice(before).filter(isOfList)).toEqual([]);
  });

  test('survives the link to the content, and Back from there', async () => {
    const {shown, calls} = await show('/devices');
    await goDownTo(shown, 399);
    await shown.getByText('600 loaded').waitFor();
    const before = calls.length;
    await later(shown);
    await shown.getByRole('link', {name: 'Skip to content'}).focus();
    await shown.keyboard.press('Enter');
    await shown.waitForURL(/#content$/);
    await sees(shown, 399);
    expect(await focusOf(shown)).toBe('MAIN');
    await shown.goBack();
    await sees(shown, 399);
    expect(calls.slice(before).filter(isOfList)).toEqual([]);
  });

  test('is the top of a list that is read anew after a link to it, where it is older than half a minute', async () => {
    const {shown, calls} = await show('/devices');
    await goDownTo(shown, 399);
    await shown.getByText('600 loaded').waitFor();
    const before = calls.length;
    await later(shown);
    await shown.getByRole('navigation', {name: 'Views'}).getByRole('link', {name: 'Devices'}).click();
    await sees(shown, 0);
    expect(calls.slice(before).filter(isOfList).length).toBeGreaterThan(0);
  });

  test('survives Back and Forward, and Back gives the focus to the row', async () => {
    const {shown} = await show('/');
    await shown.getByRole('navigation', {name: 'Views'}).getByRole('link', {name: 'Devices'}).click();
    await goDownTo(shown, 399);
    await shown.goBack();
    await shown.getByTestId('summary-tiles').waitFor();
    await shown.goForward();
    await sees(shown, 399);
    await focused(shown, nameOf(399));
    await shown.keyboard.press('Enter');
    await shown.getByRole('heading', {level: 1, name: nameOf(399)}).waitFor();
    await shown.goBack();
    await sees(shown, 399);
    await focused(shown, nameOf(399));
  });

  test('is the top where the list has to be read anew', async () => {
    const {shown} = await show('/devices');
    await goDownTo(shown, 599);
    await shown.keyboard.press('Enter');
    await shown.getByTestId('sync-now').waitFor();
    await shown.reload();
    await shown.getByTestId('sync-now').waitFor();
    await shown.goBack();
    await sees(shown, 0);
  });

  test('has the focus however fast End comes', async () => {
    const {shown} = await show('/devices');
    await goDownTo(shown, 199);
    await shown.getByText('400 loaded').waitFor();
    // A key that comes when rows were drawn a moment ago, as one does that is held.
    await shown.evaluate(`{
      const grid = document.querySelector('.grid');
      new MutationObserver((_changes, observer) => {
        observer.disconnect();
        document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'End', bubbles: true}));
      }).observe(grid.querySelector('.grid-body'), {childList: true});
      grid.scrollTop -= 2000;
    }`);
    await focused(shown, nameOf(399));
  });
});

test('a list of which a page failed is not read as a whole again when the window is looked at', async () => {
  let isAway = false;
  const {shown, calls} = await show('/devices', {
    over: (_method, url) => (isAway && isList(url) ? refusal(400, 'The shard is away.') : undefined),
  });
  await goDownTo(shown, 399);
  await shown.getByText('600 loaded').waitFor();
  isAway = true;
  await shown.keyboard.press('End');
  await shown.getByText('The next rows did not come').waitFor();
  const before = calls.length;
  await lookedAt(shown);
  // The session is read when the window is looked at, after the lists were.
  await until('the session read', () =>
    Promise.resolve(calls.slice(before).some((call) => /session/.test(call)) || undefined),
  );
  await shown.getByRole('button', {name: 'Try again'}).click();
  await until('another try', () =>
    Promise.resolve(calls.slice(before).some((call) => /cursor/.test(call)) || undefined),
  );
  expect(calls.slice(before).filter((call) => /devices\?/.test(call))).toHaveLength(1);
});

test('an empty list of a device says that it cannot be read again', async () => {
  let isAway = false;
  const {shown} = await show(`/devices/${idOf(1)}?list=commands`, {
    over: (_method, url) =>
      isAway && url.pathname.endsWith('/commands') ? refusal(400, 'The shard is away.') : undefined,
  });
  await shown.getByText('Nobody asked this device').waitFor();
  isAway = true;
  await shown.getByTestId('sync-now').click();
  await shown.getByText('The shard is away.').waitFor();
});

test('an older page that is on its way comes, also when the device is read again meanwhile', async () => {
  const path = `/devices/${idOf(1)}`;
  const {shown, calls} = await show(path, {
    over: (_method, url) => {
      if (!url.pathname.endsWith('/syncs')) return undefined;
      const from = Number(url.searchParams.get('cursor') ?? 0);
      return list([{...SYNC, batchSeq: 1000 - from}], {hasNextPage: true, nextCursor: String(from + 1)});
    },
  });
  await shown.getByText('e1:1000').waitFor();
  const before = calls.length;
  const isReadAgain = () => Promise.resolve(calls.slice(before).includes(`GET /api/v1${path}`) || undefined);
  await shown.route('**/syncs?*cursor=*', async (held) => {
    await until('the device read', isReadAgain);
    await held.continue();
  });
  await shown.getByTestId('sync-now').click();
  await shown.getByRole('button', {name: 'Show older'}).click();
  await shown.getByText('e1:999').waitFor();
});

test('history that was gone back through is read again only when the reader wants the newest', async () => {
  const path = `/devices/${idOf(1)}`;
  const {shown, calls} = await show(path, {
    over: (_method, url) => {
      if (!url.pathname.endsWith('/syncs')) return undefined;
      const from = Number(url.searchParams.get('cursor') ?? 0);
      return list([{...SYNC, batchSeq: 1000 - from}], {hasNextPage: true, nextCursor: String(from + 1)});
    },
  });
  for (let page = 0; page < 3; page++) {
    await shown.getByText(`e1:${1000 - page}`).waitFor();
    await shown.getByRole('button', {name: 'Show older'}).click();
  }
  await shown.getByText('e1:997').waitFor();
  const before = calls.length;
  const asked = (end: string): number => calls.slice(before).filter((call) => call.split('?')[0]?.endsWith(end)).length;
  // Reads the device, and what is shown of it, again.
  await shown.getByTestId('sync-now').click();
  await until('the device read', () => Promise.resolve(asked(`GET /api/v1${path}`) > 0 || undefined));
  await shown.getByRole('button', {name: 'Show the newest'}).click();
  await until('the newest', async () => ((await shown.getByText('e1:997').count()) === 0 ? true : undefined));
  await shown.getByText('e1:1000').waitFor();
  expect(asked('/syncs')).toBe(1);
});

test('a link to what is shown adds nothing to go back through', async () => {
  const {shown} = await show('/');
  const link = shown.getByRole('navigation', {name: 'Views'}).getByRole('link', {name: 'Devices'});
  for (let click = 0; click < 3; click++) {
    await link.click();
    await shown.getByTestId('device-row').first().waitFor();
  }
  await shown.goBack();
  await shown.getByTestId('summary-tiles').waitFor();
});

test('what late means is what the server goes by', async () => {
  const {shown} = await show('/');
  const hours = `${LATE_AFTER_MS / 3_600_000} hours`;
  expect(await shown.getByTestId('tile-on_time').getAttribute('title')).toContain(hours);
  expect(await shown.getByTestId('tile-late').getAttribute('title')).toContain(hours);
});
