import {beforeAll, describe, expect, test} from '@jest/globals';
import {restrictedNamespace, type Kubectl} from './kit/kubectl.ts';
import {helmInstall} from './kit/operator.ts';
import {beyond, specFields, type Field} from './kit/spec-fields.ts';

/** An object with a value at a path; a step `0` is the one item of a list. */
const put = (root: Record<string, unknown>, path: string, value: unknown): void => {
  const steps = path.split('.');
  steps.reduce<unknown>((node, step, index) => {
    const last = index === steps.length - 1;
    const next = last ? value : steps[index + 1] === '0' ? [] : {};
    // what was put here before, or what is put now
    const holder = node as Record<string, unknown>;
    holder[step] ??= next;
    return holder[step];
  }, root);
};

/** The API server's way to write a path. */
const shown = (path: string): string => `spec.${path.replaceAll(/\.0(?=\.|$)/g, '[0]')}`;

describe('the limits of every field', () => {
  let kubectl: Kubectl;
  beforeAll(async () => {
    await helmInstall();
    kubectl = await restrictedNamespace('limits');
  }, 180_000);

  const fields = specFields();

  test('every field has one', () => {
    expect(fields.filter((field) => beyond(field).length === 0).map(({path}) => path)).toEqual([]);
  });

  test.each([
    ['below, or no such value', (values: readonly unknown[]) => values[0]],
    ['above', (values: readonly unknown[]) => values[1]],
  ])(
    '%s: all are refused at once, each by its path',
    async (_side, choose) => {
      const spec: Record<string, unknown> = {};
      const tried = fields.flatMap((field): readonly Field[] => {
        const value = choose(beyond(field));
        if (value === undefined) return [];
        put(spec, field.path, value);
        return [field];
      });
      const object = {apiVersion: 'pisync.io/v1alpha1', kind: 'PiSyncRegion', metadata: {name: 'limits'}, spec};
      const {code, stderr} = await kubectl.run(
        ['create', '--dry-run=server', '--validate=false', '-f', '-'],
        JSON.stringify(object),
      );
      expect(code).toBe(1);
      const missed = tried.map(({path}) => shown(path)).filter((path) => !stderr.includes(`${path}:`));
      expect(missed).toEqual([]);
    },
    60_000,
  );
});
