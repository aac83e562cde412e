import {expect, test} from '@jest/globals';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {parse} from 'yaml';
import {loadConfig} from '../config.ts';
import {operatorValuesPage} from './operator-values.ts';

const CHART = join(import.meta.dirname, '../../../charts/pisync');

/** Paths of everything that has a value: an empty map or list is one. */
const paths = (value: unknown, path: string, properties: (node: object) => object | undefined): readonly string[] => {
  const inner = typeof value === 'object' && value !== null ? properties(value) : undefined;
  if (inner === undefined) return [path];
  return Object.entries(inner).flatMap(([name, field]) =>
    paths(field, path === '' ? name : `${path}.${name}`, properties),
  );
};

const fieldOf = (node: object, name: string): object | undefined =>
  Object.entries(node).find(([key]) => key === name)?.[1] as object | undefined;

test('the images of a release are the same wherever they are named', async () => {
  const {images} = parse(await readFile(join(CHART, 'values.yaml'), 'utf8')) as {readonly images: object};
  const built = await readFile(join(CHART, '../../scripts/images/main.ts'), 'utf8');
  const {
    postgresImage: postgres,
    rabbitmqImage: rabbitmq,
    redisImage: redis,
  } = loadConfig({PISYNC_IMAGE_SERVICE: 'pisync:1'});
  expect(images).toMatchObject({postgres, rabbitmq, redis});
  for (const image of [postgres, rabbitmq, redis]) expect(built).toContain(`'${image}'`);
});

test('every value of the operator chart has a default, a schema and an explanation', async () => {
  const schema: unknown = JSON.parse(await readFile(join(CHART, 'values.schema.json'), 'utf8'));
  const defaults: unknown = parse(await readFile(join(CHART, 'values.yaml'), 'utf8'));
  const ofUmbrellas = ['global', 'enabled'];
  const described = paths(schema, '', (node) => fieldOf(node, 'properties')).filter(
    (path) => !ofUmbrellas.includes(path),
  );
  const given = paths(defaults, '', (node) =>
    Array.isArray(node) || Object.keys(node).length === 0 ? undefined : node,
  );
  // Values that are given to Kubernetes as they are have no fields of their own in the schema.
  expect(given.filter((path) => !described.some((known) => path === known || path.startsWith(`${known}.`)))).toEqual(
    [],
  );
  expect(described.filter((path) => !given.some((known) => known === path || known.startsWith(`${path}.`)))).toEqual(
    [],
  );

  const rows = operatorValuesPage(schema, defaults)
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  expect(rows).toHaveLength(described.length + ofUmbrellas.length);
  expect(rows.filter((row) => /\| \|$/.test(row))).toEqual([]);
});
