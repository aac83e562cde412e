import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test} from '@jest/globals';
import {emptyOnes} from './leftovers.ts';

test('a folder that somebody else uses by now is not left behind by us', () => {
  const root = mkdtempSync(join(tmpdir(), 'leftovers-'));
  try {
    const [ours, theirs, gone] = ['ours', 'theirs', 'gone'].map((name) => join(root, name)) as [string, string, string];
    mkdirSync(ours);
    mkdirSync(theirs);
    writeFileSync(join(theirs, 'settings'), '');
    expect(emptyOnes([ours, theirs, gone])).toEqual([ours]);
  } finally {
    rmSync(root, {recursive: true});
  }
});
