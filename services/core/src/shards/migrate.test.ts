import {expect, test} from '@jest/globals';
import {SCHEMA_VERSION} from '@pisync/contract/schema-version';
import {MIGRATIONS} from './migrate.ts';

test('the schema version that services wait for is the number of the newest migration', () => {
  expect(MIGRATIONS.map(({name}) => Number(name.slice(0, 4)))).toEqual(
    Array.from({length: SCHEMA_VERSION}, (_, index) => index + 1),
  );
});
