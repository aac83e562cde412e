import {expect, test} from '@jest/globals';
import {globSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const VERSION = /^ {2}"version": "(.+)"/m.exec(readFileSync(join(ROOT, 'package.json'), 'utf8'))?.[1];

test.each([
  ['package.json', '{*,services/*}/package.json', /^ {2}"version": "(.+)"/gm],
  ['Chart.yaml', 'charts/*/Chart.yaml', /^(?:version|appVersion): (.+)/gm],
  ['README and docs', '{README.md,docs/**/*.md}', /\/pisync(?:-operator)?:([\w.-]+)/g],
])('every %s tells the one version', (_what, files, pattern) => {
  const told = globSync(files, {cwd: ROOT}).flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(pattern)].map(([, version]) => ({file, version})),
  );
  expect(told).not.toEqual([]);
  expect(told).toEqual(told.map(({file}) => ({file, version: VERSION})));
});
