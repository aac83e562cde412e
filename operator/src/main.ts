import {randomBytes} from 'node:crypto';
import {pino} from 'pino';
import {collectDefaultMetrics, Registry} from 'prom-client';
import {ConfigError, configHelp, loadConfig, type OperatorConfig} from './config.ts';
import {systemClock} from './kube/clock.ts';
import {type CredentialSource, kubeconfigCredentials, podCredentials} from './kube/connection.ts';
import {createEngine} from './kube/engine.ts';
import {messageOf} from './kube/errors.ts';
import {kubeMetrics} from './kube/metrics.ts';
import {startOpsServer} from './ops-server.ts';
import {regionController} from './region/controller.ts';
import {IDENTITY} from './region/labels.ts';
import {regionMetrics} from './region/metrics.ts';

const credentialsOf = ({kubeconfig, apiHost, apiPort}: OperatorConfig): CredentialSource => {
  if (kubeconfig !== undefined) return kubeconfigCredentials(kubeconfig);
  if (apiHost !== undefined) return podCredentials(apiHost, apiPort);
  throw new ConfigError('no Kubernetes: set KUBECONFIG, or run in a pod');
};

const run = async (config: OperatorConfig): Promise<void> => {
  const log = pino({
    level: config.logLevel,
    base: {pod: config.podName},
    timestamp: pino.stdTimeFunctions.isoTime,
    // A word, as in the logs of the services.
    formatters: {level: (label) => ({level: label})},
  });
  const registry = new Registry();
  collectDefaultMetrics({register: registry});
  const regions = regionMetrics(registry);
  const randomText = (bytes: number, encoding: 'base64url' | 'hex'): string => randomBytes(bytes).toString(encoding);

  const engine = createEngine({
    name: 'pisyncregion',
    controller: regionController(
      {
        version: config.version,
        images: {
          service: config.serviceImage,
          postgres: config.postgresImage,
          rabbitmq: config.rabbitmqImage,
          redis: config.redisImage,
        },
      },
      systemClock,
    ),
    identity: IDENTITY,
    credentials: credentialsOf(config),
    userAgent: `pisync-operator/${config.version}`,
    namespaces: config.namespaces,
    selector: config.regionSelector,
    workers: config.workers,
    lease: {
      namespace: config.leaseNamespace,
      name: config.leaseName,
      // The suffix tells two lives of one pod name apart.
      identity: `${config.podName}_${randomText(4, 'hex')}`,
    },
    clock: systemClock,
    random: () => Math.random(),
    randomText,
    metrics: kubeMetrics(registry, 'pisync'),
    log,
    onStatus: regions.record,
  });

  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({signal}, 'stopping');
      stop.abort();
    });
  }
  const ops = await startOpsServer(config.opsPort, {
    live: () => engine.live(),
    ready: () => engine.ready(),
    registry,
  }).catch((error: unknown) => {
    throw new ConfigError(`PISYNC_OPS_PORT: cannot listen on port ${config.opsPort}: ${messageOf(error)}`);
  });
  log.info({version: config.version, opsPort: ops.port, namespaces: config.namespaces}, 'started');
  try {
    await engine.run(stop.signal);
  } finally {
    await ops.close();
  }
};

/** Runs the operator until SIGTERM. Sets the exit code when it could not. */
export const main = async (argv: readonly string[]): Promise<void> => {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(configHelp());
    return;
  }
  try {
    await run(loadConfig(process.env));
  } catch (error) {
    const text = error instanceof Error ? (error instanceof ConfigError ? error.message : error.stack) : String(error);
    process.stderr.write(`${text ?? ''}\n`);
    process.exitCode = 1;
  }
};

// From a checkout: node operator/src/main.ts. In the image another module calls main.
if (import.meta.main) await main(process.argv.slice(2));
