import {createHash} from 'node:crypto';
import {describe, expect, test} from '@jest/globals';
import {covers, fingerprint, project, uncovered} from './fingerprint.ts';

test('equal values have equal fingerprints, whatever the order of keys', () => {
  expect(fingerprint({a: 1, b: [{c: 2, d: undefined}]})).toBe(fingerprint({b: [{c: 2}], a: 1}));
  expect(fingerprint({a: [1, 2]})).not.toBe(fingerprint({a: [2, 1]}));
  const text = '{"b":null,"c":"x"}';
  expect(fingerprint({c: 'x', b: null, a: undefined})).toBe(
    createHash('sha256').update(text).digest('hex').slice(0, 32),
  );
});

describe('project', () => {
  test.each([
    ['leaves out what others own', {a: 1, status: 2}, {a: 0}, {a: 1}],
    ['goes through lists of equal length', {l: [{n: 'x', d: 1}]}, {l: [{n: ''}]}, {l: [{n: 'x'}]}],
    [
      'takes a list of another length whole',
      {l: [{n: 'x', d: 1}, {n: 'y'}]},
      {l: [{n: ''}]},
      {l: [{n: 'x', d: 1}, {n: 'y'}]},
    ],
    ['notices what is missing', {}, {a: 0}, {a: undefined}],
  ])('%s', (_, live, desired, expected) => {
    expect(project(live, desired)).toEqual(expected);
  });
});

describe('covers', () => {
  test.each([
    ['defaults do not matter', {a: 1, b: 2}, {a: 1}, true],
    ['a changed value matters', {a: 2}, {a: 1}, false],
    ['a missing value matters', {}, {a: 1}, false],
    ['a longer list matters', {l: [1, 2]}, {l: [1]}, false],
    [
      'another owner does not',
      {metadata: {ownerReferences: [{uid: 'b'}, {uid: 'a', kind: 'A'}]}},
      {metadata: {ownerReferences: [{uid: 'a'}]}},
      true,
    ],
    [
      'a lost owner does',
      {metadata: {ownerReferences: [{uid: 'b'}]}},
      {metadata: {ownerReferences: [{uid: 'a'}]}},
      false,
    ],
    [
      'quantities may be spelt differently',
      {limits: {cpu: '1', memory: '1Gi'}},
      {limits: {cpu: '1000m', memory: '1024Mi'}},
      true,
    ],
    ['by a fraction that no float holds', {requests: {cpu: '700m'}}, {requests: {cpu: '0.7'}}, true],
    ['or in another unit', {requests: {storage: '1Pi'}}, {requests: {storage: '1024Ti'}}, true],
    ['quantities that differ matter', {limits: {cpu: '1'}}, {limits: {cpu: '100m'}}, false],
    ['text is never a quantity', {env: {value: '1'}}, {env: {value: '1000m'}}, false],
  ])('%s', (_, live, desired, expected) => {
    expect(covers(live, desired)).toBe(expected);
  });
});

test('what is not covered is named by its path', () => {
  const desired = {data: {'a.conf': 'x'}, spec: {containers: [{image: 'a', name: 'a'}], ports: [1]}};
  const live = {data: {'a.conf': 'y'}, spec: {containers: [{image: 'b', name: 'a'}], ports: []}};
  expect(uncovered(live, desired)).toEqual(['data.a.conf', 'spec.containers[0].image', 'spec.ports']);
  expect(uncovered({}, desired)).toEqual(['data', 'spec']);
});
