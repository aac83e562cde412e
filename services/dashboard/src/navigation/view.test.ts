import {describe, expect, test} from '@jest/globals';
import {deviceHref, devicesHref, viewOf} from './view.ts';

const at = (path: string) => viewOf(new URL(path, 'http://dashboard.test'));

describe('views and URLs', () => {
  test('the root is the summary', () => {
    expect(at('/')).toEqual({kind: 'summary'});
  });

  test('a filtered list survives the way through its URL', () => {
    const filter = {status: 'late', group: 'north & south', shard: '3'};
    expect(at(devicesHref(filter, ['status', 'shard']))).toEqual({
      kind: 'devices',
      filter,
      columns: ['status', 'shard'],
    });
  });

  test('a device and the list that it shows survive the way through the URL', () => {
    expect(at(deviceHref('a/b', 'records'))).toEqual({kind: 'device', id: 'a/b', list: 'records'});
    expect(at(deviceHref('x'))).toEqual({kind: 'device', id: 'x', list: 'syncs'});
  });

  test('an unknown list name falls back to syncs, an unknown path is said to be unknown', () => {
    expect(at('/devices/x?list=nope')).toEqual({kind: 'device', id: 'x', list: 'syncs'});
    expect(at('/nope')).toEqual({kind: 'unknown', path: '/nope'});
    expect(at('/devices/%E0%A4%A')).toEqual({kind: 'unknown', path: '/devices/%E0%A4%A'});
  });
});
