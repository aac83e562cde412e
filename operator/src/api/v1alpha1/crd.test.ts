import {describe, expect, test} from '@jest/globals';
import {regionSchema, type SchemaNode} from './crd.ts';
import {specSchema} from './spec.ts';

const fields = (node: SchemaNode, path: string): readonly (readonly [path: string, node: SchemaNode])[] => [
  [path, node],
  ...Object.entries(node.properties ?? {}).flatMap(([name, field]) => fields(field, `${path}.${name}`)),
  ...(node.items === undefined ? [] : fields(node.items, `${path}[]`)),
];

const all = Object.entries(regionSchema().properties ?? {})
  .filter(([name]) => name === 'spec' || name === 'status')
  .flatMap(([name, node]) => fields(node, name));
const spec = all.filter(([path]) => path.startsWith('spec'));

describe('the schema', () => {
  test('documents every field', () => {
    const silent = all.filter(([path, node]) => !path.endsWith('[]') && (node.description ?? '').length < 8);
    expect(silent.map(([path]) => path)).toEqual([]);
  });

  test('bounds every text, list and map of the spec, so that the cost of its rules is known', () => {
    const unbounded = spec.filter(
      ([, node]) =>
        (node.type === 'string' && node.enum === undefined && node.maxLength === undefined) ||
        (node.items !== undefined && node.maxItems === undefined) ||
        (node.additionalProperties !== undefined && node.maxProperties === undefined),
    );
    expect(unbounded.map(([path]) => path)).toEqual([]);
  });

  test('has the same defaults as the operator', () => {
    const minimal = {region: 'eu-west'};
    const defaulted = Object.fromEntries(
      Object.entries(regionSchema().properties?.['spec']?.properties ?? {}).flatMap(([name, node]) =>
        node.default === undefined ? [] : [[name, node.default]],
      ),
    );
    expect({...defaulted, ...minimal}).toEqual(specSchema.parse(minimal));
  });
});
