import {AppError, describeError} from '../errors/app-error.ts';
import {withTimeout} from '../lifecycle/lifecycle.ts';
import {SCHEMA_VERSION, schemaVersion} from './migrate.ts';
import {type Shards} from './shards.ts';

/** Below what a readiness check may take. A shard that answers later is looked at by the next one. */
const PATIENCE_MS = 400;

/**
 * For readiness: some shard has the schema that this release needs, and none that answers has an older one. Shards that are away keep nobody waiting: what
 * is written to a shard concerns that shard alone.
 */
export interface SchemaCheck {
  /** @throws AppError `shard-unavailable`. Asks nobody once it has passed, because schemas only go up. */
  readonly check: () => Promise<void>;
  /** The shard is away. It may come back from an older copy, or empty, so it is asked until it has answered. */
  readonly doubt: (shardId: number) => void;
}

export const createSchemaCheck = (shards: Pick<Shards, 'ids' | 'pool'>): SchemaCheck => {
  let passed = false;
  const doubtful = new Set<number>();
  const asking = new Map<number, Promise<void>>();
  /** What was answered since the last check: what a shard said before it went away says nothing of what comes back. */
  let versions = new Map<number, number>();
  const reasons = new Map<number, string>();

  const ask = (id: number): Promise<void> => {
    const asked = asking.get(id);
    if (asked !== undefined) return asked;
    const answer = (async () => {
      try {
        versions.set(id, await schemaVersion(shards.pool(id, 'job')));
      } catch (error) {
        reasons.set(id, describeError(error));
      }
    })().finally(() => asking.delete(id));
    asking.set(id, answer);
    return answer;
  };

  return {
    async check() {
      const ids = shards.ids().filter((id) => !passed || doubtful.has(id));
      if (ids.length === 0) return;
      // Shards that hang are asked once, however often readiness is looked at.
      await withTimeout(Promise.all(ids.map(ask)), PATIENCE_MS, 'late').catch(() => undefined);
      const answered = versions;
      versions = new Map();
      for (const [id, version] of answered) {
        if (version < SCHEMA_VERSION) {
          throw new AppError(
            'shard-unavailable',
            `shard ${id} has schema version ${version}, this release needs ${SCHEMA_VERSION}; its migration has to finish first`,
          );
        }
        doubtful.delete(id);
      }
      if (!passed && answered.size === 0) {
        const told = ids.map((id) => `shard ${id}: ${reasons.get(id) ?? 'no answer yet'}`);
        throw new AppError('shard-unavailable', `no shard has answered: ${told.join('; ')}`);
      }
      passed = true;
    },
    doubt(shardId) {
      doubtful.add(shardId);
    },
  };
};
