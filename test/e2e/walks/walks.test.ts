import {expect, test} from '@jest/globals';
import {pathsOf, specFields} from '../kit/spec-fields.ts';
import {NOT_WALKED, WALKS} from './walks.ts';

const fields = specFields();
const maps = new Set(fields.map(({path}) => path));

test('every field of the object is walked, or it is said why not', () => {
  const walked = new Set(WALKS.flatMap(({patch}) => pathsOf(patch, maps)));
  const left = fields.map(({path}) => path).filter((path) => !walked.has(path) && NOT_WALKED[path] === undefined);
  expect(left).toEqual([]);
});

test('what is walked, and what is not, is a field', () => {
  const named = [...WALKS.flatMap(({patch}) => pathsOf(patch, maps)), ...Object.keys(NOT_WALKED)];
  expect(named.filter((path) => !maps.has(path))).toEqual([]);
});
