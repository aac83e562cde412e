/** What the dashboard does when the server says no, or has another release. Needs a browser and no cluster. */
import {describe, expect, test} from '@jest/globals';
import {until} from '../e2e/kit/until.ts';
import {ANN, BOB, idOf, isList, refusal} from './mock-region.ts';
import {usePages} from './pages.ts';

const show = usePages();

const isScript = (path: string): boolean => /^\/assets\/.*\.js$/.test(path);

describe('while two releases are served', () => {
  test('a page whose script is missing is loaded again by itself', async () => {
    let asked = 0;
    const {shown} = await show('/', {lacks: (path) => isScript(path) && asked++ === 0});
    await shown.getByTestId('summary-tiles').waitFor();
  });

  test('a page whose script stays missing says what to do, and is loaded again once a minute', async () => {
    let asked = 0;
    const {shown, calls} = await show('/', {lacks: (path) => isScript(path) && ++asked > 0});
    const loads = (): number => calls.filter((call) => call === 'GET /').length;
    await until('the page loaded again', () => Promise.resolve(asked === 2 || undefined));
    await shown.getByText('If this stays, load the page again').waitFor();
    expect(loads()).toBe(2);
    // As if a minute were over.
    await shown.evaluate(`sessionStorage.setItem('pisync-loaded-again', String(Date.now() - 59_000))`);
    await shown.reload();
    expect(loads()).toBe(3);
    await until('the page loaded once more', () => Promise.resolve(loads() === 4 || undefined));
  });
});

describe('the end of the session', () => {
  const signInAs = (who: typeof ANN) => {
    let isIn = true;
    return {
      end: () => (isIn = false),
      over: (method: string, url: URL) => {
        if (method !== 'POST' || !url.pathname.endsWith('/session')) return isIn ? undefined : refusal(401, 'Sign in.');
        isIn = true;
        return {body: who};
      },
    };
  };

  test.each([
    ['kept for the same person', ANN, true],
    ['dropped for another', BOB, false],
  ] as const)('what was chosen to ask a device for is %s', async (_what, who, isKept) => {
    const {end, over} = signInAs(who);
    const {shown, calls} = await show(`/devices/${idOf(1)}`, {over});
    await shown.getByLabel('Everything').check();
    await shown.getByLabel('Ahead of others').check();
    end();
    await shown.getByTestId('sync-now').click();
    await shown.getByText('Your session has ended').waitFor();
    await shown.getByLabel(/token/i).fill('x');
    await shown.getByLabel(/token/i).press('Enter');
    await shown.getByTestId('sign-in').waitFor({state: 'detached'});
    await shown.getByTestId('sync-now').waitFor();
    expect(await shown.getByLabel('Everything').isChecked()).toBe(isKept);
    expect(await shown.getByLabel('Ahead of others').isChecked()).toBe(isKept);
    expect(calls.filter((call) => call.startsWith('POST') && call.endsWith('/sync'))).toHaveLength(1);
    // Nothing is kept from one visit to the next.
    await shown.getByRole('navigation', {name: 'Views'}).getByRole('link', {name: 'Summary'}).click();
    await shown.getByTestId('summary-tiles').waitFor();
    await shown.goBack();
    await shown.getByTestId('sync-now').waitFor();
    expect(await shown.getByLabel('Everything').isChecked()).toBe(false);
  });
});

test('who called too often is told so at once, and the page waits as long as the server said', async () => {
  const asked: number[] = [];
  const {shown} = await show('/devices', {
    over: (_method, url) => {
      if (!isList(url)) return undefined;
      asked.push(performance.now());
      return asked.length > 1 ? undefined : {...refusal(429, 'Too many calls.'), headers: {'retry-after': '12'}};
    },
  });
  await shown.getByText('Too many calls.').waitFor({timeout: 10_000});
  expect(asked).toHaveLength(1);
  await shown.getByTestId('device-row').first().waitFor();
  const [first = 0, second = 0] = asked;
  expect(second - first).toBeGreaterThanOrEqual(12_000);
});
