import {describe, expect, test} from '@jest/globals';
import {claim, ownedByOthers, straysOf, type FieldSet} from './managed-fields.ts';

const kubectl = (fieldsV1: FieldSet) => ({manager: 'kubectl-edit', operation: 'Update', apiVersion: 'v1', fieldsV1});
const ours = (fieldsV1: FieldSet) => ({manager: 'shop', operation: 'Apply', apiVersion: 'v1', fieldsV1});

describe('what others own', () => {
  test.each<[string, Parameters<typeof ownedByOthers>[0], FieldSet | undefined]>([
    ['is not what we own', [ours({'f:spec': {'f:a': {}}})], undefined],
    [
      'is not metadata, of pods either',
      [kubectl({'f:metadata': {}, 'f:spec': {'f:template': {'f:metadata': {}}}})],
      undefined,
    ],
    ['is not what comes through a subresource', [{...kubectl({'f:spec': {}}), subresource: 'scale'}], undefined],
    ['is what somebody edited', [kubectl({'f:spec': {'f:a': {}}})], {'f:spec': {'f:a': {}}}],
  ])('%s', (_, entries, expected) => {
    expect(ownedByOthers(entries, 'shop', 'Service')).toEqual(expected);
  });
});

describe('strays', () => {
  const wish = {spec: {selector: {a: '1'}, list: [{name: 'x', image: 'i'}], limits: {cpu: '1000m'}}};
  test.each<[string, FieldSet, object, FieldSet, boolean]>([
    ['a field that is not wanted', {'f:other': {}}, {other: 1}, {'f:spec': {'f:other': {}}}, false],
    [
      'a field called like what every object has',
      {'f:constructor': {}},
      {constructor: 1},
      {'f:spec': {'f:constructor': {}}},
      false,
    ],
    ['a map that is owned whole', {'f:selector': {}}, {selector: {a: '1', b: '2'}}, {}, true],
    ['the wanted value, spelt otherwise', {'f:limits': {'f:cpu': {}}}, {limits: {cpu: '1'}}, {}, false],
    [
      'an item of a list',
      {'f:list': {'k:{"name":"y"}': {'.': {}, 'f:name': {}}}},
      {list: [{name: 'x'}, {name: 'y'}]},
      {'f:spec': {'f:list': {'k:{"name":"y"}': {'.': {}, 'f:name': {}}}}},
      false,
    ],
    [
      'a field of a wanted item',
      {'f:list': {'k:{"name":"x"}': {'f:tty': {}}}},
      {list: [{name: 'x', tty: true}]},
      {'f:spec': {'f:list': {'k:{"name":"x"}': {'f:tty': {}}}}},
      false,
    ],
    ['nothing, where the field is gone', {'f:other': {}}, {}, {}, false],
  ])('are %s', (_, fields, live, added, replaced) => {
    expect(straysOf({'f:spec': fields}, {spec: live}, wish)).toEqual({added, replaced});
  });

  test('are none where we have no opinion', () => {
    expect(straysOf({'f:data': {'f:b': {}}}, {data: {b: '1'}}, {}, [{'f:data': {}}])).toEqual({
      added: {},
      replaced: false,
    });
  });
});

describe('whoever may write an object', () => {
  test('makes nobody go through what ten thousand own, or deeper than any field lies', () => {
    let deep: FieldSet = {};
    for (let depth = 0; depth < 10_000; depth++) deep = {'f:a': deep};
    const many = Array.from({length: 10_000}, (_, index) => kubectl({'f:data': {[`f:k${index}`]: {}}}));
    const fromMs = performance.now();
    const others = ownedByOthers([kubectl({'f:spec': deep}), ...many], 'shop', 'ConfigMap');
    expect(straysOf(others, {spec: {a: {a: 1}}, data: {k7: '1'}}, {spec: {a: {}}})).toEqual({
      added: {'f:spec': {'f:a': {'f:a': expect.anything()}}, 'f:data': others?.['f:data']},
      replaced: false,
    });
    expect(performance.now() - fromMs).toBeLessThan(2_000);
  });

  test('makes nobody look for each of his ten thousand items among all of them', () => {
    const list = Array.from({length: 10_000}, (_, index) => ({name: `n${index}`}));
    const items = Object.fromEntries(list.map(({name}) => [`k:{"name":"${name}"}`, {'.': {}}]));
    const strays = (): unknown => straysOf({'f:list': items}, {list}, {list: [{name: 'x'}]});
    expect(strays).toThrow('others record too many fields of it to be compared');
  });
});

test('a claim moves fields from who added them to what we applied', () => {
  const before = [ours({'f:spec': {'f:a': {}}}), kubectl({'f:metadata': {'f:labels': {}}, 'f:spec': {'f:b': {}}})];
  expect(claim(before, {'f:spec': {'f:b': {}}}, 'shop', {apiVersion: 'v1'})).toEqual([
    kubectl({'f:metadata': {'f:labels': {}}}),
    ours({'f:spec': {'f:a': {}, 'f:b': {}}}),
  ]);
});
