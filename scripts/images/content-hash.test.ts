import {mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test} from '@jest/globals';
import {contentHash} from './content-hash.ts';

test('changes with content, names and the other inputs, and not with what is ignored', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hash-'));
  try {
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'sub', 'a'), 'one');
    const seen = [contentHash(folder, [])];
    expect(contentHash(folder, [])).toBe(seen[0]);
    writeFileSync(join(folder, 'ignored'), 'x');
    expect(contentHash(folder, [], ['ignored'])).toBe(seen[0]);
    rmSync(join(folder, 'ignored'));
    seen.push(contentHash(folder, ['another base image']));
    renameSync(join(folder, 'sub', 'a'), join(folder, 'sub', 'b'));
    seen.push(contentHash(folder, []));
    writeFileSync(join(folder, 'sub', 'b'), 'two');
    seen.push(contentHash(folder, []));
    expect(new Set(seen).size).toBe(seen.length);
  } finally {
    rmSync(folder, {recursive: true});
  }
});
