import {z} from 'zod';
import {resources} from './quantity.ts';
import {storage} from './storage.ts';

/** Server settings that the region depends on; changing them by hand would lose data, lock the services out or be ignored. */
export const DENIED_PARAMETERS = [
  'archive_command',
  'archive_library',
  'config_file',
  'data_directory',
  'fsync',
  'full_page_writes',
  'hba_file',
  'ident_file',
  'listen_addresses',
  'password_encryption',
  'port',
  'restore_command',
  'shared_preload_libraries',
  'synchronous_commit',
  'unix_socket_directories',
  'wal_level',
] as const;

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
      .max(64)
      .default(2)
      .describe('Number of databases that devices are spread over. It may only grow.'),
    storage: storage('every shard', '10Gi'),
    resources: resources('a shard', {requests: {cpu: '100m', memory: '256Mi'}, limits: {memory: '1Gi'}}),
    parameters: z
      .record(z.string().max(63), z.string().max(256))
      .default({})
      .meta({maxProperties: 64})
      .describe(
        'Settings for postgresql.conf, e.g. `{work_mem: 16MB}`. A change restarts the shards one after the other. Settings that the region depends on are refused.',
      ),
  })
  .prefault({})
  .describe('The shards: PostgreSQL databases that hold devices and their records.');
