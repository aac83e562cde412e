/** The dashboard on a phone. Needs a browser and no cluster. */
import {expect, test} from '@jest/globals';
import {AT, device, idOf} from './mock-region.ts';
import {usePages} from './pages.ts';

const show = usePages();

test('on a phone nothing lies beside the screen, and it says who is signed in', async () => {
  const marks = `a${'\u20dd'.repeat(126)}`;
  const {shown} = await show(`/devices/${idOf(1)}`, {
    over: (_method, url) =>
      url.pathname.endsWith(idOf(1))
        ? {
            body: {
              data: {...device(1), name: marks, tags: {[marks]: marks}, model: marks, state: {[marks]: marks}},
              asOf: AT,
            },
          }
        : undefined,
    viewport: {width: 320, height: 640},
  });
  await shown.getByTestId('sync-now').waitFor();
  expect(await shown.evaluate('document.documentElement.scrollWidth')).toBe(320);
  expect(await shown.getByText('ann', {exact: true}).isVisible()).toBe(true);
  expect(await shown.getByText('admin', {exact: true}).isVisible()).toBe(true);
});
