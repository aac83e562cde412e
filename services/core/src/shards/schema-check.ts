import {SCHEMA_VERSION} from '@pisync/contract/schema-version';
import {AppError, describeError} from '../errors/app-error.ts';
import {withTimeout} from '../lifecycle/lifecycle.ts';
import {schemaVersion} from './migrate.ts';
import {type Shards} from './shards.ts';

/** Below what a readiness check may take. A shard that answers later is looked at by the next one. */
const PATIENCE_MS = 400;

/**
 * For readiness: some shard has the schema that this release needs, and none that answers has an older one. Shards that are away keep nobody waiting: what
 * is written to a shard concerns that shard alone. What has passed once is not asked again, because schemas only go up.
 */
export const createSchemaCheck = (shards: Pick<Shards, 'ids' | 'pool'>): (() => Promise<void>) => {
  let passed = false;
  const asking = new Map<number, Promise<void>>();
  const versions = new Map<number, number>();
  const reasons = new Map<number, string>();

  const ask = (id: number): Promise<void> => {
    const asked = asking.get(id);
    if (asked !== undefined) return asked;
    const answer = (async () => {
      try {
        versions.set(id, await schemaVersion(shards.pool(id, 'job')));
      } catch (error) {
        reasons.set(id, describeError(error));
      } finally {
        asking.delete(id);
      }
    })();
    asking.set(id, answer);
    return answer;
  };

  return async () => {
    if (passed) return;
    const ids = shards.ids();
    // Shards that hang are asked once, however often readiness is looked at.
    await withTimeout(Promise.all(ids.map(ask)), PATIENCE_MS, 'late').catch(() => undefined);
    for (const id of ids) {
      const version = versions.get(id);
      if (version === undefined || version >= SCHEMA_VERSION) continue;
      throw new AppError(
        'shard-unavailable',
        `shard ${id} has schema version ${version}, this release needs ${SCHEMA_VERSION}; its migration has to finish first`,
      );
    }
    if (!ids.some((id) => versions.has(id))) {
      const told = ids.map((id) => `shard ${id}: ${reasons.get(id) ?? 'no answer yet'}`);
      throw new AppError('shard-unavailable', `no shard has answered: ${told.join('; ')}`);
    }
    passed = true;
  };
};
