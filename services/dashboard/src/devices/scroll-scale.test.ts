import {describe, expect, test} from '@jest/globals';
import fc from 'fast-check';
import {placeAfterScroll, placeAt, placeIn, positionOf, scrollScale} from './scroll-scale.ts';

const ROW_PX = 36;
const VIEW_PX = 800;
const MILLION = scrollScale(1_000_000 * ROW_PX);

const contents = fc.integer({min: 0, max: 5_000_000}).map((rows) => scrollScale(rows * ROW_PX));

describe('scrolling through rows', () => {
  test('a list that fits is scrolled as it is', () => {
    const scale = scrollScale(1000 * ROW_PX);
    expect(scale.elementPx).toBe(scale.contentPx);
    expect(placeAt(scale, VIEW_PX, 5000)).toEqual({scrollPx: 5000, offsetPx: 0});
    expect(placeAfterScroll(scale, VIEW_PX, {scrollPx: 0, offsetPx: 0}, 30_000)).toEqual({
      scrollPx: 30_000,
      offsetPx: 0,
    });
  });

  test('the element is one that every browser can show, and both its ends are those of a million rows', () => {
    expect(MILLION.elementPx).toBeLessThan(16_000_000);
    expect(placeAt(MILLION, VIEW_PX, 0)).toEqual({scrollPx: 0, offsetPx: 0});
    const end = placeAt(MILLION, VIEW_PX, Infinity);
    expect(positionOf(end)).toBe(MILLION.contentPx - VIEW_PX);
    expect(end.scrollPx).toBe(MILLION.elementPx - VIEW_PX);
  });

  test('pulling the scrollbar to an end shows that end, and to its middle about the middle', () => {
    const start = {scrollPx: 0, offsetPx: 0};
    const bottom = placeAfterScroll(MILLION, VIEW_PX, start, MILLION.elementPx - VIEW_PX);
    expect(positionOf(bottom)).toBe(MILLION.contentPx - VIEW_PX);
    expect(placeAfterScroll(MILLION, VIEW_PX, bottom, 0)).toEqual(start);
    const middle = positionOf(placeAfterScroll(MILLION, VIEW_PX, start, MILLION.elementPx / 2));
    expect(Math.abs(middle / MILLION.contentPx - 0.5)).toBeLessThan(0.01);
  });

  test('any place can be shown, by a scroll position that the element has', () => {
    fc.assert(
      fc.property(contents, fc.integer({min: 0, max: 200_000_000}), (scale, positionPx) => {
        const place = placeAt(scale, VIEW_PX, positionPx);
        const most = Math.max(0, scale.contentPx - VIEW_PX);
        expect(positionOf(place)).toBe(Math.min(positionPx, most));
        expect(place.scrollPx).toBeGreaterThanOrEqual(0);
        expect(place.scrollPx).toBeLessThanOrEqual(Math.max(0, scale.elementPx - VIEW_PX));
      }),
    );
  });

  test('a movement of less than half a pixel of the scrollbar moves the rows as far, wherever it begins', () => {
    const share = fc.integer({min: -100, max: 100}).map((percent) => percent / 100);
    fc.assert(
      fc.property(contents, fc.nat(), share, (scale, positionPx, part) => {
        const byPx = Math.trunc(part * Math.max(VIEW_PX, scale.elementPx / VIEW_PX / 2));
        const before = placeAt(scale, VIEW_PX, positionPx);
        const after = placeAfterScroll(scale, VIEW_PX, before, before.scrollPx + byPx);
        expect(positionOf(after)).toBe(Math.max(0, positionOf(before) + byPx));
      }),
    );
  });

  test('who scrolls steadily comes from one end to the other', () => {
    let place = placeAt(MILLION, VIEW_PX, 35_000_000);
    for (let step = 0; step < 5_000 && positionOf(place) < MILLION.contentPx - VIEW_PX; step++) {
      const scrollPx = Math.min(place.scrollPx + 700, MILLION.elementPx - VIEW_PX);
      place = placeAfterScroll(MILLION, VIEW_PX, place, scrollPx);
    }
    expect(positionOf(place)).toBe(MILLION.contentPx - VIEW_PX);
  });

  test('rows that come at the end do not move those that are read, which are shown as any others of the list', () => {
    fc.assert(
      fc.property(contents, contents, fc.nat(), (one, other, positionPx) => {
        const place = placeAt(one, VIEW_PX, positionPx);
        const after = placeIn(other, place);
        expect(positionOf(after)).toBe(positionOf(place));
        if (other.contentPx >= one.contentPx) expect(after).toEqual(placeAt(other, VIEW_PX, positionOf(place)));
      }),
    );
  });
});
