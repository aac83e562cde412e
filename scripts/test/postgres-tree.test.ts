import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {unpackImage} from './postgres-tree.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pisync-tree-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

/** Writes `files` and packs them. */
const pack = (name: string, files: Readonly<Record<string, string>>): void => {
  const content = join(folder, `${name}.content`);
  mkdirSync(content);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(content, file), text);
  execFileSync('tar', ['-cf', join(folder, name), '-C', content, '.']);
};

test("an image's tree has what the layers leave, the upper one's where two have a file", async () => {
  pack('lower.tar', {who: 'the lower layer', below: 'there'});
  pack('upper.tar', {who: 'the upper layer'});
  pack('image.tar', {'manifest.json': JSON.stringify([{Layers: ['lower.tar', 'upper.tar']}])});
  execFileSync('tar', ['-rf', join(folder, 'image.tar'), '-C', folder, 'lower.tar', 'upper.tar']);
  const tree = join(folder, 'tree');
  await unpackImage(join(folder, 'image.tar'), tree);
  expect(readdirSync(tree).toSorted()).toEqual(['below', 'who']);
  expect(readFileSync(join(tree, 'who'), 'utf8')).toBe('the upper layer');
});
