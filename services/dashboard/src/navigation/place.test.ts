import {expect, test} from '@jest/globals';
import {placeOf} from './place.ts';

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
