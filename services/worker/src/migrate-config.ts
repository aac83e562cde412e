import {ENV} from '@pisync/contract/env';
import {MAX_SHARDS} from '@pisync/contract/limits';
import {defineConfig, variable} from '@pisync/core/config/config';
import {sharedVariables} from '@pisync/core/config/shared';
import {integer} from '@pisync/core/config/values';

export const migrateConfig = defineConfig({
  command: 'migrate',
  summary:
    'with --shard N: brings one shard to the schema of this release, makes its first partitions and tells it which slots it owns',
  variables: {
    ...sharedVariables,
    firstShards: variable(
      ENV.firstShards,
      'Among how many shards the migration of shard 0 shares the slots of a new region out, of which no slot map was saved; those that the topology has as admitted while unset.',
      integer(1, MAX_SHARDS).optional(),
    ),
  },
});
