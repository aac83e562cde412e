import {expect, test} from '@jest/globals';
import {execFileSync} from 'node:child_process';
import {globSync} from 'node:fs';
import {
  BOOLEAN_PARAMETERS,
  NUMBER_PARAMETERS,
  REFUSED_PARAMETERS,
  TEXT_PARAMETERS,
  WORD_PARAMETERS,
} from './parameters.ts';

const REFUSED = Object.values(REFUSED_PARAMETERS).flat();
const ALL = [
  ...BOOLEAN_PARAMETERS,
  ...NUMBER_PARAMETERS,
  ...Object.keys(WORD_PARAMETERS),
  ...TEXT_PARAMETERS,
  ...REFUSED,
];

test('no setting is in two lists', () => {
  expect(ALL.filter((name, index) => ALL.indexOf(name) !== index)).toEqual([]);
});

const servers = globSync('/usr/lib/postgresql/*/bin/postgres');
(servers.length === 0 ? test.skip : test)('every setting of the server on this machine is in one of them', () => {
  for (const server of servers) {
    const settings = execFileSync(server, ['--describe-config'], {encoding: 'utf8'})
      .trim()
      .split('\n')
      .map((line) => line.split('\t')[0]?.toLowerCase() ?? '');
    expect(settings.filter((name) => !ALL.includes(name))).toEqual([]);
  }
});
