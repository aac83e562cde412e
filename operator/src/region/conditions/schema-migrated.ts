import {KINDS} from '../kinds.ts';
import {SHARD_VOLUMES} from '../labels.ts';
import {criticalFailures, reasonOf} from '../outcomes.ts';
import {problemOf} from '../problems.ts';
import {type ConditionInput, fails, type Finding, holds, unknown} from './condition.ts';

const TYPE = 'SchemaMigrated';
/** Reasons while a new schema is on its way and nothing is in its way. */
export const MIGRATING = 'Migrating';
export const NOT_MIGRATED = 'NotStarted';
/** A reason for which nothing goes on by itself. */
export const VOLUME_REPLACED = 'VolumeReplaced';

/** Whether every shard has the schema of the services' image. Which that is only the image knows, so it is called as the status calls the image. */
export const schemaMigrated = ({context, now, outcome, progress: {migrations}}: ConditionInput): Finding => {
  const complete = migrations.filter(({state}) => state === 'complete').length;
  const counted = `${complete}/${migrations.length} shards migrated to the schema of version ${context.version}`;
  if (complete === migrations.length) return holds(TYPE, 'Migrated', counted);
  const replaced = migrations.filter(({state}) => state === 'replaced').map(({shardId}) => shardId);
  if (replaced.length > 0) {
    return fails(
      TYPE,
      VOLUME_REPLACED,
      `shard ${replaced.join(', ')} has another volume than the one that was migrated. Restore its data if there is a backup; then, or to begin without any, kubectl annotate secret/${context.names.bootstrap} ${SHARD_VOLUMES}-`,
    );
  }
  const failed = migrations.find(({state}) => state === 'failed');
  if (failed !== undefined) {
    const job = failed.desired.manifest.metadata.name;
    return fails(TYPE, 'MigrationFailed', `${counted}: Job ${job} failed and is repeated; see kubectl logs job/${job}`);
  }
  const refused = criticalFailures(outcome).find(({key}) => key.kind === KINDS.job.kind);
  if (refused !== undefined) return fails(TYPE, reasonOf(refused), `${counted}: ${refused.message}`);
  if (migrations.every(({state}) => state === 'absent')) return unknown(TYPE, NOT_MIGRATED, 'waits for the shards');
  const problem = problemOf(context.children, 'migration', now);
  return problem === undefined
    ? fails(TYPE, MIGRATING, counted)
    : fails(TYPE, problem.reason, `${counted}: ${problem.message}`);
};
