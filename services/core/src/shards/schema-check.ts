import {SCHEMA_VERSION} from '@pisync/contract/schema-version';
import {AppError} from '../errors/app-error.ts';
import {schemaVersion} from './migrate.ts';
import {type Shards} from './shards.ts';

/**
 * For readiness: every shard of the topology has at least the schema that this release needs. A shard that passed once is
 * not asked again, because schemas only go up; a shard that is away later makes no process unready.
 */
export const createSchemaCheck = (shards: Shards): (() => Promise<void>) => {
  const passed = new Set<number>();
  return async () => {
    const open = shards.ids().filter((id) => !passed.has(id));
    await Promise.all(
      open.map(async (id) => {
        const version = await schemaVersion(shards.pool(id, 'job'));
        if (version < SCHEMA_VERSION) {
          throw new AppError(
            'shard-unavailable',
            `shard ${id} has schema version ${version}, this release needs ${SCHEMA_VERSION}; its migration has to finish first`,
          );
        }
        passed.add(id);
      }),
    );
  };
};
