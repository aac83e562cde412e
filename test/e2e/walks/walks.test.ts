import {expect, test} from '@jest/globals';
import {pathsOf, specFields} from '../kit/spec-fields.ts';
import {NOT_WALKED, ONE_VALUE, WALKS} from './walks.ts';

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

test('what is not walked because it has one value has one', () => {
  const said = fields.filter(({path}) => NOT_WALKED[path] === ONE_VALUE);
  expect(said.length).toBeGreaterThan(0);
  const more = said.filter(
    ({schema}) => schema.enum?.length !== 1 && (schema.minimum === undefined || schema.minimum !== schema.maximum),
  );
  expect(more.map(({path}) => path)).toEqual([]);
});
