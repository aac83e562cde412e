import {expect, test} from '@jest/globals';
import {describeError} from '../errors/app-error.ts';
import {problemOf} from '../errors/problem.ts';
import {openSecrets} from './secrets.ts';

const secrets = openSecrets('/no/such/folder');

test.each<[string, () => unknown]>([
  ['read', () => secrets.read('signing', 'key')],
  ['readNow', () => secrets.readNow('shard-0', 'username')],
])('%s tells the log which file is missing, and a caller not even where it looked', async (_how, read) => {
  const error: unknown = await Promise.resolve()
    .then(read)
    .catch((fault: unknown) => fault);
  expect(describeError(error)).toMatch(/cannot read the secret \/no\/such\/folder\/.*ENOENT/);
  expect(problemOf(error)).toMatchObject({status: 503});
  expect(JSON.stringify(problemOf(error).body)).not.toMatch(/such|ENOENT/);
});
