import {describe, expect, test} from '@jest/globals';
import type {DeviceRow, Page} from '../api/types.ts';
import {cursorAfter, extentOf, extentText, rowsOf} from './list-extent.ts';

let made = 0;
const page = (rows: number, more: Partial<Page<DeviceRow>> = {}): Page<DeviceRow> => ({
  data: Array.from({length: rows}, () => ({id: String(made++)})),
  hasNextPage: false,
  nextCursor: null,
  asOf: '2026-11-24T02:00:26.557Z',
  ...more,
});

const counted = (value: number, exact: boolean, atLeast = false) =>
  page(200, {hasNextPage: true, count: {value, exact, atLeast}});

const DEAD = {partial: ['shard-1'], nextCursor: 'c'};

describe('what is known of a list', () => {
  test.each([
    ['nothing where nobody answered', [page(0, DEAD)], 'Not known now'],
    ['that there is none where everybody answered', [page(0)], 'No devices'],
    ['the number where all came', [page(200, {hasNextPage: true}), page(3)], '203 devices'],
    ['no number while a shard is missing', [page(3, DEAD)], '3 loaded, others are missing'],
    [
      'nothing while none was found and there is more to look at',
      [counted(37, false, true), page(0)].map((one) => ({...one, data: [], hasNextPage: true})),
      'Still looking',
    ],
    ['that there are more', [page(200, {hasNextPage: true})], '200 loaded, more below'],
    ['how many there are', [counted(5000, true)], '5,000 devices, 200 loaded'],
    ['how many there were', [counted(5000, false)], 'about 5,000 devices, 200 loaded'],
    ['how many there are at least', [counted(5000, false, true)], 'at least 5,000 devices, 200 loaded'],
    [
      'what came where that is more than was counted',
      [counted(7, true), page(9, {hasNextPage: true})],
      '209 loaded, more below',
    ],
  ])('%s', (_what, pages, text) => {
    expect(extentText(extentOf(pages))).toBe(text);
  });

  test('a shard whose devices came with a later page is missing no more', () => {
    expect(extentOf([page(200, {...DEAD, hasNextPage: true}), page(200)]).missing).toEqual([]);
    expect(extentOf([page(200, {hasNextPage: true}), page(1, DEAD)]).missing).toEqual(['shard-1']);
  });

  test('a device that came twice is one, as it was last', () => {
    const [first, second] = [
      {...page(0), data: [{id: 'a', name: 'old'}, {id: 'b'}]},
      {...page(0), data: [{id: 'c'}, {id: 'a', name: 'new'}]},
    ];
    expect(rowsOf([first, second])).toEqual([{id: 'a', name: 'new'}, {id: 'b'}, {id: 'c'}]);
    expect(extentText(extentOf([first, second]))).toBe('3 devices');
  });

  test('the list goes on behind its end while a shard is missing', () => {
    expect(cursorAfter(page(3, DEAD))).toBe('c');
    expect(cursorAfter(page(3, {hasNextPage: true, nextCursor: 'd'}))).toBe('d');
    expect(cursorAfter(page(3, {nextCursor: 'e'}))).toBeNull();
  });
});
