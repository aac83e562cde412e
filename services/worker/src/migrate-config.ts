import {defineConfig} from '@pisync/core/config/config';
import {sharedVariables} from '@pisync/core/config/shared';

export const migrateConfig = defineConfig({
  command: 'migrate',
  summary:
    'with --shard N: brings one shard to the schema of this release, makes its first partitions and tells it which slots it owns',
  variables: sharedVariables,
});
