import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from '@jest/globals';
import {completed, incompleteEntries, type LockEntry, parseLock, workspacesOf} from './lock-file.ts';

const lockOf = (packages: Readonly<Record<string, LockEntry>>) => ({lockfileVersion: 3, packages: {...packages}});
const compiler = {version: '2.0.0', integrity: 'sha512-a', optionalDependencies: {'compiler-mac': '2.0.0'}};
const mac = {version: '2.0.0', integrity: 'sha512-b', optional: true};

test('the lock of this repository can be installed from on every platform', () => {
  const lock = parseLock(readFileSync(join(import.meta.dirname, '../../package-lock.json'), 'utf8'));
  expect(incompleteEntries(lock)).toEqual([]);
  expect(workspacesOf(lock)).toContain('operator');
});

test('an entry without version or integrity is incomplete; links and workspaces have neither', () => {
  const lock = lockOf({
    '': {},
    contract: {version: '0.1.0'},
    'node_modules/contract': {link: true},
    'node_modules/a': {version: '1.0.0', integrity: 'sha512-a'},
    'node_modules/b': {version: '1.0.0'},
    'node_modules/a/node_modules/c': {optional: true},
  });
  expect(incompleteEntries(lock)).toEqual(['node_modules/b', 'node_modules/a/node_modules/c']);
});

test('what the registry does not serve today is taken from the last lock, and put where it was', () => {
  const lock = lockOf({
    'node_modules/compiler': compiler,
    'node_modules/compiler/node_modules/compiler-mac': {optional: true},
  });
  const last = lockOf({'node_modules/compiler': compiler, 'node_modules/compiler-mac': mac});
  expect(completed(lock, last).packages).toEqual(last.packages);
});

const lacking = {optional: true};
const needing = (version: string) => ({version: '1.0.0', integrity: 'sha512-c', dependencies: {compiler: version}});

test.each([
  {
    what: 'below a package that is gone',
    lock: {'node_modules/compiler': compiler, 'node_modules/compiler/node_modules/compiler-mac': lacking},
    last: {'node_modules/gone': compiler, 'node_modules/gone/node_modules/compiler-mac': mac},
    place: 'node_modules/compiler/node_modules/compiler-mac',
  },
  {
    what: 'where another version is by now',
    lock: {
      'node_modules/compiler': compiler,
      'node_modules/compiler/node_modules/compiler-mac': lacking,
      'node_modules/compiler-mac': {...mac, version: '3.0.0'},
    },
    last: {'node_modules/compiler': compiler, 'node_modules/compiler-mac': mac},
    place: 'node_modules/compiler/node_modules/compiler-mac',
  },
  {
    what: 'between its parent and the root',
    lock: {
      'node_modules/a': needing('2.0.0'),
      'node_modules/a/node_modules/compiler': compiler,
      'node_modules/a/node_modules/compiler/node_modules/compiler-mac': lacking,
    },
    last: {'node_modules/a': needing('2.0.0'), 'node_modules/a/node_modules/compiler-mac': mac},
    place: 'node_modules/a/node_modules/compiler-mac',
  },
])('an entry that was $what is put where its parent finds it', ({lock, last, place}) => {
  const {packages} = completed(lockOf(lock), lockOf(last));
  expect(
    Object.entries(packages)
      .filter(([, {version}]) => version === mac.version)
      .map(([path]) => path),
  ).toContain(place);
  expect(packages[place]).toEqual(mac);
  expect(incompleteEntries({packages})).toEqual([]);
  expect(Object.keys(packages)).toHaveLength(Object.keys(lock).length);
});

test.each([
  ['no entry', {}],
  ['an entry of another version', {'node_modules/compiler-mac': {...mac, version: '1.9.0'}}],
  ['an entry that is incomplete as well', {'node_modules/compiler-mac': {optional: true}}],
])('with %s in the last lock it says which package is lacking', (_name, packages) => {
  const lock = lockOf({'node_modules/compiler': compiler, 'node_modules/compiler-mac': {optional: true}});
  expect(() => completed(lock, lockOf(packages))).toThrow('does not serve compiler-mac@2.0.0');
});
