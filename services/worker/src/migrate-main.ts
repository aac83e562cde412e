import {parseArgs} from 'node:util';
import {loadConfig} from '@pisync/core/config/config';
import {AppError} from '@pisync/core/errors/app-error';
import {openSecrets} from '@pisync/core/secrets/secrets';
import {createLogger} from '@pisync/core/telemetry/logger';
import {openTopologyFile} from '@pisync/core/topology/topology-file';
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

/** `migrate --shard N`: returns when the shard is ready for this release. */
export async function main(argv: readonly string[]): Promise<void> {
  const loaded = loadConfig(migrateConfig, process.env, argv);
  if (loaded.kind === 'help') {
    process.stdout.write(loaded.text);
    return;
  }
  const {config} = loaded;
  const shardId = shardOf(argv);
  const log = createLogger({level: config.logLevel, service: 'migrate', pod: config.podName});
  const topology = await openTopologyFile({
    path: config.topologyFile,
    onProblem: (error) => log.warn({err: error.message}, 'the topology changed into something that cannot be read'),
  });
  try {
    await runMigration({
      shardId,
      topology: topology.current(),
      secrets: openSecrets(config.secretsDir),
      log,
      now: Date.now,
      deadlineMs: DEADLINE_MS,
    });
  } finally {
    topology.stop();
  }
}
