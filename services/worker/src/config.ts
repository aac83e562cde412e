import {ENV, WORKER_CONCURRENCY} from '@pisync/contract/env';
import {brokerVariables} from '@pisync/core/config/broker';
import {defineConfig, variable} from '@pisync/core/config/config';
import {sharedVariables} from '@pisync/core/config/shared';
import {integer} from '@pisync/core/config/values';

export const workerConfig = defineConfig({
  command: 'worker',
  summary: 'takes batches from the broker and applies them to the shards',
  variables: {
    ...sharedVariables,
    ...brokerVariables,
    concurrency: variable(
      ENV.workerConcurrency,
      'Windows of up to 1000 records that are applied to a shard at once; each uses one connection.',
      integer(WORKER_CONCURRENCY.min, WORKER_CONCURRENCY.max).default(2),
    ),
  },
});
