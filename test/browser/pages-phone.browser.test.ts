/** The dashboard on a phone. Needs a browser and no cluster. */
import {expect, test} from '@jest/globals';
import {ANN, AT, COUNTS, device, idOf, list} from './mock-region.ts';
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

test.each([320, 360, 375, 390, 412])(
  'at %i px the frame has two lines, whatever the region and the person are called',
  async (width) => {
    for (const who of [ANN, {...ANN, name: 'ann-of-the-night-shift@example.org', region: 'north-america-east-1'}]) {
      const {shown} = await show('/devices', {
        over: (_method, url) => (url.pathname.endsWith('/session') ? {body: who} : undefined),
        viewport: {width, height: 740},
      });
      await shown.getByTestId('device-row').first().waitFor();
      // The middle of each item, where it has a box.
      const lines = await shown.evaluate<number[]>(`[...new Set([...document.querySelectorAll('.bar > *, .bar-end > *')]
      .map((item) => item.getBoundingClientRect()).filter(({height}) => height > 0)
      .map(({top, bottom}) => Math.round((top + bottom) / 20)))]`);
      expect({region: who.region, lines: lines.length}).toEqual({region: who.region, lines: 2});
      expect(await shown.evaluate('document.documentElement.scrollWidth')).toBe(width);
      for (const name of [who.name, 'admin']) expect(await shown.getByText(name, {exact: true}).isVisible()).toBe(true);
      await shown.close();
    }
  },
);

test.each([320, 390, 1280])(
  'at %i px the choice of groups is on the screen, however many and however long',
  async (width) => {
    const byGroup = Array.from({length: 40}, (_, index) => ({
      group: `${'greenhouse-'.repeat(9)}${index}`,
      devices: 1,
      byStatus: COUNTS,
    }));
    const {shown} = await show('/tokens', {
      over: (_method, url) => {
        if (url.pathname.endsWith('-tokens')) return list([]);
        if (!url.pathname.endsWith('/summary')) return undefined;
        return {body: {region: 'eu', devices: 40, byStatus: COUNTS, byGroup, byShard: [], asOf: AT, ageSeconds: 3}};
      },
      viewport: {width, height: 740},
    });
    await shown.getByText('Groups: all').click();
    for (const place of [0, 1]) await shown.locator('.menu-body input').nth(place).check();
    expect(await shown.evaluate('document.documentElement.scrollWidth')).toBe(width);
    const box = await shown.locator('.menu-body').boundingBox();
    if (box === null) throw new Error('the menu is not shown');
    expect(box.x).toBeGreaterThanOrEqual(0);
    expect(box.x + box.width).toBeLessThanOrEqual(width);
    expect(box.height).toBeLessThanOrEqual(740 * 0.6 + 1);
  },
);
