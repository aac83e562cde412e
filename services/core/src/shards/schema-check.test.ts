import {expect, test} from '@jest/globals';
import {AppError} from '../errors/app-error.ts';
import {MIGRATIONS, SCHEMA_VERSION} from './migrate.ts';
import {createSchemaCheck} from './schema-check.ts';
import {type Shards} from './shards.ts';

type Answer = number | 'away' | 'hangs';

/** Shards whose answers the test decides. */
const shardsOf = (answers: Answer[]): Pick<Shards, 'ids' | 'pool'> => ({
  ids: () => [...answers.keys()],
  pool: (id) => {
    const answer = answers[id] ?? 'away';
    if (answer === 'away') throw new AppError('shard-unavailable', `shard ${id} refuses`);
    const query = (text: string): Promise<unknown> =>
      answer === 'hangs'
        ? new Promise(() => undefined)
        : Promise.resolve({
            rows: text.includes('to_regclass') ? [{done: answer > 0, works: false}] : MIGRATIONS.slice(0, answer),
          });
    // Nothing else of a pool is used to read the schema's version.
    return {query} as unknown as ReturnType<Shards['pool']>;
  },
});

test.each<[string, Answer[]]>([
  ['every shard has the schema', [SCHEMA_VERSION, SCHEMA_VERSION]],
  ['shard 0 is away', ['away', SCHEMA_VERSION]],
  ['shard 0 hangs', ['hangs', SCHEMA_VERSION]],
])('ready when %s', async (_name, answers) => {
  await expect(createSchemaCheck(shardsOf(answers)).check()).resolves.toBeUndefined();
});

test.each<[string, Answer[], string]>([
  ['no shard answers', ['away', 'hangs'], 'no shard has answered: shard 0: shard 0 refuses; shard 1: no answer yet'],
  ['a shard that answers was never migrated', [SCHEMA_VERSION, 0], 'shard 1 has schema version 0'],
])('not ready when %s', async (_name, answers, reason) => {
  await expect(createSchemaCheck(shardsOf(answers)).check()).rejects.toThrow(reason);
});

test('what was ready stays so when a shard is new or goes away', async () => {
  const answers: Answer[] = [SCHEMA_VERSION];
  const {check} = createSchemaCheck(shardsOf(answers));
  await check();
  answers.splice(0, 1, 'away', 0);
  await expect(check()).resolves.toBeUndefined();
});

test('what a shard said before it went away does not count', async () => {
  const answers: Answer[] = [SCHEMA_VERSION, 0];
  const {check} = createSchemaCheck(shardsOf(answers));
  await expect(check()).rejects.toThrow('shard 1 has schema version 0');
  answers[1] = 'away';
  await expect(check()).resolves.toBeUndefined();
});

test('a shard that went away is asked again, until it has answered', async () => {
  const answers: Answer[] = [SCHEMA_VERSION, SCHEMA_VERSION];
  const {check, doubt} = createSchemaCheck(shardsOf(answers));
  await check();
  answers[1] = 'away';
  doubt(1);
  await expect(check()).resolves.toBeUndefined();
  answers[1] = 0;
  await expect(check()).rejects.toThrow('shard 1 has schema version 0');
  answers[1] = SCHEMA_VERSION;
  await expect(check()).resolves.toBeUndefined();
  answers[1] = 0;
  await expect(check()).resolves.toBeUndefined();
});
