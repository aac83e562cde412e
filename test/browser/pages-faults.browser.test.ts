/** What the dashboard does when the server says no, or has another release. Needs a browser and no cluster. */
import {expect, test} from '@jest/globals';
import {isList, refusal} from './mock-region.ts';
import {usePages} from './pages.ts';

const show = usePages();

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
