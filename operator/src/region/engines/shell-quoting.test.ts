import {expect, test} from '@jest/globals';
import {execFileSync} from 'node:child_process';
import {DOUBLE_QUOTED, SQL_QUOTED} from './shell-quoting.ts';

const filtered = (filter: string, text: string): string =>
  execFileSync('sh', ['-c', `printf '%s' "$1" | ${filter}`, 'sh', text], {encoding: 'utf8'});

const PASSWORDS = [
  'plain-Base64_url',
  `it's`,
  `'; drop table device; --`,
  String.raw`back\slash "quoted" $HOME \`cat\` &%s`,
];

test.each(PASSWORDS)('%s stays one text in SQL', (password) => {
  expect(filtered(SQL_QUOTED, password).split("''").join('\u0000').includes("'")).toBe(false);
  expect(filtered(SQL_QUOTED, password).replaceAll("''", "'")).toBe(password);
});

test.each(PASSWORDS)('%s stays one text in JSON', (password) => {
  expect(JSON.parse(`"${filtered(DOUBLE_QUOTED, password)}"`)).toBe(password);
});
