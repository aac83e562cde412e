import {expect, test} from '@jest/globals';
import {placeOf, placeWithin} from './place.ts';

test('a place is read from the state that it was written to', () => {
  expect(placeOf({place: {scrollPx: 1800.5, row: 50}})).toEqual({scrollPx: 1800.5, row: 50});
});

test.each([
  null,
  undefined,
  'text',
  {},
  {place: null},
  {place: {scrollPx: 1}},
  {place: {scrollPx: '1', row: 2}},
  {place: {scrollPx: -1, row: 2}},
  {place: {scrollPx: 1, row: NaN}},
])('%j is no place', (state) => {
  expect(placeOf(state)).toBeUndefined();
});

test('a place that a shorter list does not have is none', () => {
  const place = {scrollPx: 1800.5, row: 50};
  expect(placeWithin(place, 51, 51 * 36)).toBe(place);
  expect(placeWithin(place, 50, 50 * 36)).toBeUndefined();
  expect(placeWithin({scrollPx: 1800.5, row: 0}, 20, 20 * 36)).toBeUndefined();
  expect(placeWithin(undefined, 50, 50 * 36)).toBeUndefined();
});
