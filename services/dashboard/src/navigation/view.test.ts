import {describe, expect, test} from '@jest/globals';
import views from '../../public/views.json' with {type: 'json'};
import {deviceHref, devicesHref, viewOf} from './view.ts';

const at = (path: string) => viewOf(new URL(path, 'http://dashboard.test'));

const segments = (path: string) => path.split('/').filter((part) => part !== '');

/** As admin-api goes by views.json. */
const isServed = (path: string): boolean =>
  views.some((view) => {
    const [wanted, given] = [segments(view), segments(path)];
    return wanted.length === given.length && wanted.every((part, place) => part === '*' || part === given[place]);
  });

describe('views and URLs', () => {
  test.each([
    '/',
    '/devices',
    '/devices/',
    '/devices/x',
    '/devices/a%2Fb',
    '/nope',
    '/devices/x/y',
    '/groups',
    '/groups/x',
    '/tokens',
    '/tokens/x',
    '/audit',
    '/audit/x',
    '/api/v1/session',
  ])('views.json lists %s if it is a view', (path) => {
    expect(isServed(path)).toBe(at(path).kind !== 'unknown');
  });

  test('the root is the summary', () => {
    expect(at('/')).toEqual({kind: 'summary'});
  });

  test('a filtered list survives the way through its URL', () => {
    const filter = {
      ...({status: 'late', group: 'north & south', shard: '3', mark: 'disputed'} as const),
      ...{q: 'attic & co', sort: '-lastSync'},
    };
    expect(at(devicesHref(filter, ['status', 'shard']))).toEqual({
      kind: 'devices',
      filter,
      columns: ['status', 'shard'],
    });
  });

  test('a list is of nothing alone that is not known', () => {
    expect(at('/devices?mark=nope')).toMatchObject({kind: 'devices', filter: {mark: undefined}});
    expect(at('/devices?mark=revoked')).toMatchObject({kind: 'devices', filter: {mark: 'revoked'}});
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
