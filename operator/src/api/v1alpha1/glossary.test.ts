import {expect, test} from '@jest/globals';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {PART_NAMES} from './status.ts';

test('the glossary has every part of a region, with its other names', async () => {
  const page = await readFile(join(import.meta.dirname, '../../../../docs/glossary.md'), 'utf8');
  const [, parts = ''] = page.split('## Parts');
  const named = [...parts.matchAll(/^\| `([^`]+)` /gm)].map(([, name]) => name);
  expect(named).toEqual(PART_NAMES);
});
