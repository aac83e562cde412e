import {beforeEach, describe, expect, test} from '@jest/globals';
import {compareVersions, Store} from './store.ts';
import {liveObject} from './testing/fixtures.ts';

let changes: string[];
let store: Store;

beforeEach(() => {
  changes = [];
  store = new Store({kind: 'ConfigMap'}, ({kind, object}) =>
    changes.push(`${kind} ${object.metadata.name} ${object.metadata.resourceVersion}`),
  );
});

const owned = (name: string, version: string, owner: string) =>
  liveObject(name, version, {
    ownerReferences: [{apiVersion: 'v1', kind: 'Shop', name: owner, uid: `uid-${owner}`, controller: true}],
  });

describe('a store', () => {
  test('tells of additions, changes and removals, each once', () => {
    store.put(liveObject('a', '1'));
    store.put(liveObject('a', '2'));
    store.put(liveObject('a', '2'));
    store.remove(liveObject('a', '3'));
    store.remove(liveObject('a', '3'));
    expect(changes).toEqual(['added a 1', 'modified a 2', 'deleted a 3']);
  });

  test('a changed uid is a deletion and an addition', () => {
    store.put(liveObject('a', '1'));
    store.put(liveObject('a', '5', {uid: 'second-life'}));
    expect(changes).toEqual(['added a 1', 'deleted a 1', 'added a 5']);
  });

  test('an own write is seen at once and its echo is silent', () => {
    store.put(liveObject('a', '1'));
    store.assume(liveObject('a', '7'));
    expect(store.get('default', 'a')?.metadata.resourceVersion).toBe('7');
    store.put(liveObject('a', '5'));
    store.put(liveObject('a', '7'));
    expect(store.get('default', 'a')?.metadata.resourceVersion).toBe('7');
    store.put(liveObject('a', '8'));
    expect(changes).toEqual(['added a 1', 'modified a 8']);
  });

  test('an answer that comes after the deletion brings nothing back', () => {
    store.put(liveObject('a', '10'));
    store.remove(liveObject('a', '12'));
    store.assume(liveObject('a', '11'));
    expect(store.size).toBe(0);
    // Made, changed and deleted before the answer to the creation was read.
    store.put(liveObject('b', '21'));
    store.remove(liveObject('b', '22'));
    store.assume(liveObject('b', '20'));
    store.replace([], '30');
    store.assume(liveObject('c', '29'));
    expect(store.size).toBe(0);
    store.assume(liveObject('c', '31', {uid: 'second-life'}));
    expect(store.get('default', 'c')?.metadata.uid).toBe('second-life');
  });

  test('an answer about an earlier life does not replace the later one, nor does the watch that lags behind', () => {
    store.put(liveObject('a', '20', {uid: 'second-life'}));
    store.assume(liveObject('a', '10'));
    expect(store.get('default', 'a')?.metadata.uid).toBe('second-life');
    store.put(liveObject('b', '21'));
    store.remove(liveObject('b', '21'));
    store.assume(liveObject('b', '30', {uid: 'second-life'}));
    store.put(liveObject('b', '25'));
    store.remove(liveObject('b', '26'));
    expect(store.get('default', 'b')?.metadata.uid).toBe('second-life');
    expect(changes).toEqual(['added a 20', 'added b 21', 'deleted b 21']);
  });

  test('a list deletes what it lacks, but not an own write that is newer than the list', () => {
    store.put(liveObject('gone', '1'));
    store.put(liveObject('same', '2'));
    store.assume(liveObject('fresh', '20'));
    store.replace([liveObject('same', '2'), liveObject('new', '9')], '10');
    expect(changes).toEqual(['added gone 1', 'added same 2', 'deleted gone 1', 'added new 9']);
    expect(store.list().map(({metadata}) => metadata.name)).toEqual(['same', 'fresh', 'new']);
    store.replace([], '30');
    expect(store.size).toBe(0);
  });

  test('cleared, it tells that everything is gone, own writes too', () => {
    store.put(owned('a', '1', 'north'));
    store.assume(owned('b', '20', 'north'));
    store.clear();
    expect(changes).toEqual(['added a 1', 'deleted a 1', 'deleted b 20']);
    expect(store.belongingTo({namespace: 'default', name: 'north'})).toEqual([]);
  });

  test('believes a list whose versions went backwards: the cluster was restored from a backup', () => {
    store.put(liveObject('a', '100'));
    store.replace([liveObject('a', '40')], '50');
    expect(store.get('default', 'a')?.metadata.resourceVersion).toBe('40');
    expect(changes).toEqual(['added a 100', 'modified a 40']);
  });

  test('forgets own writes that a restored cluster has never seen', () => {
    store.put(liveObject('seen', '100'));
    store.assume(liveObject('lost', '101'));
    store.assume(liveObject('seen', '102'));
    store.replace([liveObject('seen', '40')], '50');
    expect(store.get('default', 'lost')).toBeUndefined();
    expect(store.get('default', 'seen')?.metadata.resourceVersion).toBe('40');
  });

  test('finds what belongs to a resource, also after the owner changed', () => {
    store.put(owned('a', '1', 'north'));
    store.put(owned('b', '1', 'north'));
    store.put(owned('b', '2', 'south'));
    const names = (name: string): string[] =>
      store.belongingTo({namespace: 'default', name}).map(({metadata}) => metadata.name);
    expect(names('north')).toEqual(['a']);
    expect(names('south')).toEqual(['b']);
    store.remove(owned('b', '3', 'south'));
    expect(names('south')).toEqual([]);
  });
});

test.each([
  ['9', '10', -1],
  ['10', '9', 1],
  ['10', '10', 0],
  ['18446744073709551615', '18446744073709551614', 1],
  ['opaque', '10', 1],
])('version %s against %s: %i', (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign);
});
