import {describe, expect, test} from '@jest/globals';
import {z} from 'zod';
import {regionSchema, type SchemaNode} from './crd.ts';
import {specSchema} from './spec.ts';

const fields = (node: SchemaNode, path: string): readonly (readonly [path: string, node: SchemaNode])[] => [
  [path, node],
  ...Object.entries(node.properties ?? {}).flatMap(([name, field]) => fields(field, `${path}.${name}`)),
  ...(node.items === undefined ? [] : fields(node.items, `${path}[]`)),
];

/** How every text is bounded; also one that may be a number instead. */
const texts = (node: SchemaNode, path: string): readonly (readonly [path: string, bounds: unknown])[] => {
  const text = [node, ...(node.anyOf ?? [])].find(({type}) => type === 'string');
  const {minLength, maxLength, pattern} = {...node, ...text};
  return [
    ...(text === undefined ? [] : [[path, {minLength, maxLength, pattern}] as const]),
    ...Object.entries(node.properties ?? {}).flatMap(([name, field]) => texts(field, `${path}.${name}`)),
    ...(node.items === undefined ? [] : texts(node.items, `${path}[]`)),
    ...(node.additionalProperties === undefined ? [] : texts(node.additionalProperties, `${path}{}`)),
  ];
};

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

  test('bounds every text as the operator does', () => {
    const theirs = regionSchema().properties?.['spec'] ?? {};
    // zod's type of a JSON Schema is wider than SchemaNode.
    const ours = z.toJSONSchema(specSchema, {target: 'openapi-3.0', io: 'input'}) as SchemaNode;
    expect(texts(theirs, 'spec')).toEqual(texts(ours, 'spec'));
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
