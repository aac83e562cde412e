import {expect, test} from '@jest/globals';
import {execFileSync} from 'node:child_process';
import {inPostgresImage} from '../../testing/postgres-image.ts';
import {ALL_PARAMETERS} from './parameters.ts';

test('every setting of the server that shards run is in one of the lists', () => {
  const describe = 'exec /usr/lib/postgresql/*/bin/postgres --describe-config';
  const [program, ...args] = inPostgresImage({uid: 65_534, gid: 65_534}, ['sh', '-c', describe]);
  const settings = execFileSync(program, args, {encoding: 'utf8'})
    .trim()
    .split('\n')
    .map((line) => line.split('\t')[0]?.toLowerCase() ?? '');
  expect(settings).toContain('shared_buffers');
  expect(settings.filter((name) => !ALL_PARAMETERS.includes(name))).toEqual([]);
});
