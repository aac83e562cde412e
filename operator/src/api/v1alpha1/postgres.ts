import {MAX_SHARDS} from '@pisync/contract/limits';
import {z} from 'zod';
import {podTemplate} from './pod-template.ts';
import {resources} from './quantity.ts';
import {storage} from './storage.ts';

export const postgres = z
  .object({
    engine: z
      .enum(['Embedded'])
      .default('Embedded')
      .describe(
        'Who runs the shards. Embedded: one StatefulSet a shard. It restarts by itself, but it has no standby to fail over to.',
      ),
    shards: z
      .int()
      .min(1)
      .max(MAX_SHARDS)
      .default(2)
      .describe(
        'Number of databases that devices are spread over. A larger number can be taken back until the services use the new shards (`status.shards`).',
      ),
    storage: storage('every shard', '10Gi'),
    resources: resources('a shard', {requests: {cpu: '100m', memory: '256Mi'}, limits: {memory: '1Gi'}}),
    parameters: z
      .record(z.string(), z.string().max(256))
      .default({})
      .meta({maxProperties: 64})
      .describe(
        'Settings for postgresql.conf, e.g. `{work_mem: 16MB}`. A change restarts the shards one after the other. Refused are names that PostgreSQL 15 to 18 do not have, values of the wrong type, and settings that the region depends on. `max_connections` is set by the operator: what the services open at most, rounded up to 300, 600, 1200 and so on; each connection that is open takes 5 to 10 MiB of the memory of a shard, so many of them need a higher limit in `resources`. One of your own is refused when it is too small for the region. What the server itself does not take (a number out of its range) keeps the first shard from starting, and the others as they are.',
      ),
    podTemplate: podTemplate('the shards'),
  })
  .prefault({})
  .describe('The shards: PostgreSQL databases that hold devices and their records.');
