import {performance} from 'node:perf_hooks';
import {parseArgs} from 'node:util';
import {AppError} from '@pisync/core/errors/app-error';
import {runService} from '@pisync/core/lifecycle/run-service';
import {followTopology} from '@pisync/core/region/connect';
import {openSecrets} from '@pisync/core/secrets/secrets';
import {migrateConfig} from './migrate-config.ts';
import {runMigration} from './migrate.ts';

/** A Job's pod is restarted with back-off when it fails; five minutes cover a first start of the servers. */
const DEADLINE_MS = 300_000;

const shardOf = (argv: readonly string[]): number => {
  const {shard} = parseArgs({args: [...argv], options: {shard: {type: 'string'}}, allowPositionals: true}).values;
  if (shard === undefined || !/^\d{1,2}$/.test(shard)) {
    throw new AppError('config-invalid', `--shard must be the number of a shard, for example: migrate --shard 0`);
  }
  return Number(shard);
};

/** `migrate --shard N`: ends when the shard is ready for this release. */
export async function main(argv: readonly string[]): Promise<void> {
  await runService({
    definition: migrateConfig,
    argv,
    process,
    now: () => performance.now(),
    body: async (service) => {
      const topology = await followTopology(service);
      await runMigration({
        shardId: shardOf(argv),
        firstShards: service.config.firstShards,
        slotMapFile: service.config.slotMapFile,
        topology: topology.current,
        secrets: openSecrets(service.config.secretsDir),
        log: service.log,
        now: Date.now,
        deadlineMs: DEADLINE_MS,
      });
      return 'done';
    },
  });
}
