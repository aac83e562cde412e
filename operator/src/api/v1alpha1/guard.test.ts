import {describe, expect, test} from '@jest/globals';
import {globSync, readFileSync} from 'node:fs';
import {basename, join} from 'node:path';
import {parse} from 'yaml';
import {z} from 'zod';
import {judge} from './guard.ts';
import {acceptedOf, type Before, NOTHING_BEFORE} from './rule.ts';
import {specSchema} from './spec.ts';
import {BAD_CHANGES, GOOD_CHANGES} from './testing/change-cases.ts';
import {BAD_PARAMETERS} from './testing/parameter-cases.ts';
import {BAD_PODS, GOOD_PODS} from './testing/pod-cases.ts';
import {BAD_SPECS, GOOD_SPECS} from './testing/spec-cases.ts';

const EXAMPLES = join(import.meta.dirname, '../../../../docs/examples');
const EXAMPLE = z.object({metadata: z.object({name: z.string()}), spec: z.unknown()});

const after = (spec: unknown, admitted = 0, volumes?: string): Before => {
  const sizes = volumes === undefined ? [] : [volumes];
  const accepted = acceptedOf(specSchema.parse(spec), admitted);
  return {accepted, admitted, volumes: {postgres: sizes, rabbitmq: sizes}};
};

const paths = (...args: Parameters<typeof judge>): readonly string[] => {
  const verdict = judge(...args);
  return verdict.kind === 'valid' ? [] : verdict.problems.map(({path}) => path);
};

describe('the guard', () => {
  test.each([...GOOD_SPECS, ...GOOD_PODS])('lets %s through', (_what, spec) => {
    expect(paths('eu', spec, NOTHING_BEFORE)).toEqual([]);
  });

  test.each([...BAD_SPECS, ...BAD_PARAMETERS, ...BAD_PODS])('refuses $what', ({name, spec, path}) => {
    expect(paths(name ?? 'eu', spec, NOTHING_BEFORE)).toContain(path);
  });

  test.each(GOOD_CHANGES)('lets $what through', ({from, to, admitted, volumes}) => {
    expect(paths('eu', to, after(from, admitted, volumes))).toEqual([]);
  });

  test.each(BAD_CHANGES)('refuses $what', ({from, to, admitted, volumes, path}) => {
    expect(paths('eu', to, after(from, admitted, volumes))).toEqual([path]);
    expect(paths('eu', to, NOTHING_BEFORE)).toEqual([]);
  });

  test.each(globSync(join(EXAMPLES, 'region*.yaml')).map((file) => [basename(file), file] as const))(
    'lets the example %s through',
    (_name, file) => {
      const {metadata, spec} = EXAMPLE.parse(parse(readFileSync(file, 'utf8')));
      expect(paths(metadata.name, spec, NOTHING_BEFORE)).toEqual([]);
    },
  );

  test('fills in the defaults', () => {
    const verdict = judge('eu', {region: 'eu-west'}, NOTHING_BEFORE);
    expect(verdict).toMatchObject({spec: {postgres: {shards: 2}, workers: {replicas: 2}, deletionPolicy: 'Retain'}});
  });
});
