import {expect, test} from '@jest/globals';
import {MIGRATIONS} from './migrate.ts';

test('migrations are numbered from 1, so that their number is the version of the schema', () => {
  expect(MIGRATIONS.map(({name}) => Number(name.slice(0, 4)))).toEqual(MIGRATIONS.map((_, index) => index + 1));
});
