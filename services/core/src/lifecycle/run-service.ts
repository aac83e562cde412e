import type {Registry} from 'prom-client';
import {type ConfigDefinition, type ConfigOf, loadConfig, type Variable} from '../config/config.ts';
import type {sharedVariables} from '../config/shared.ts';
import {AppError, describeError} from '../errors/app-error.ts';
import {startOpsServer} from '../ops/ops-server.ts';
import {createReadiness, type Readiness} from '../ops/readiness.ts';
import {type EventLoopLag, watchEventLoopLag} from '../telemetry/event-loop-lag.ts';
import {createLogger, type Logger} from '../telemetry/logger.ts';
import {createRegistry} from '../telemetry/metrics.ts';
import {startTracing, type Tracer} from '../telemetry/tracing.ts';
import {createLifecycle, type Lifecycle} from './lifecycle.ts';

/** How a process ended, for whoever restarts it: 0 stopped as asked, 1 failed, 2 wrongly configured. */
const EXIT = {ok: 0, failed: 1, misconfigured: 2} as const;

type SharedVariables = typeof sharedVariables;

/** What a service's body gets: its own configuration, and the things every process has. */
export interface Service<C> {
  readonly config: C;
  readonly log: Logger;
  readonly registry: Registry;
  /** Undefined while tracing is off. */
  readonly tracer: Tracer | undefined;
  readonly lag: EventLoopLag;
  readonly readiness: Readiness;
  readonly life: Lifecycle;
  /** Ends the process with a failure, after an orderly stop. For faults that a restart may mend. */
  readonly fail: (error: unknown) => void;
}

/** The parts of `process` that are needed; a test passes its own. */
interface ProcessLike {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: {write(text: string): unknown};
  readonly stderr: {write(text: string): unknown};
  on(event: string, listener: (value: unknown) => void): unknown;
  removeListener(event: string, listener: (value: unknown) => void): unknown;
  exit(code: number): unknown;
}

export interface RunServiceOptions<V extends SharedVariables & Readonly<Record<string, Variable>>> {
  readonly definition: ConfigDefinition<V>;
  readonly argv: readonly string[];
  readonly process: ProcessLike;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds between "not ready" and the first close, so that proxies stop sending first. Default 0. */
  readonly drainMs?: (config: ConfigOf<ConfigDefinition<V>>) => number;
  /** Opens what the service needs with `life.own`; a service that serves returns, a job ends with `'done'`. */
  readonly body: (service: Service<ConfigOf<ConfigDefinition<V>>>) => Promise<'serving' | 'done'>;
}

/**
 * The frame of every process: reads the configuration, opens log, metrics, tracing and the ops server, runs the body, waits for
 * SIGTERM or SIGINT, turns readiness off, waits `drainMs`, closes everything in reverse order and exits. A second
 * signal exits at once.
 */
export const runService = async <V extends SharedVariables & Readonly<Record<string, Variable>>>(
  options: RunServiceOptions<V>,
): Promise<void> => {
  const {definition, process, now} = options;
  const loaded = load(options);
  if (loaded === undefined) return;
  // V extends the shared variables, so their parsed values are part of every such configuration.
  const shared = loaded as unknown as ConfigOf<ConfigDefinition<SharedVariables>>;
  const identity = {service: definition.command, pod: shared.podName};
  const log = createLogger({level: shared.logLevel, traced: shared.tracingEndpoint !== undefined, ...identity});
  const registry = createRegistry(definition.command);
  const life = createLifecycle({log, timeoutMs: shared.shutdownMs, now});
  const readiness = createReadiness(life.stopping);

  let ending = false;
  const end = async (code: number): Promise<void> => {
    if (ending) return;
    ending = true;
    // While it drains the process still serves, but /readyz already says no.
    const drainMs = code === EXIT.ok ? (options.drainMs?.(loaded) ?? 0) : 0;
    const clean = await life.stop(drainMs);
    process.removeListener('SIGTERM', onSignal);
    process.removeListener('SIGINT', onSignal);
    process.removeListener('uncaughtException', fail);
    process.removeListener('unhandledRejection', fail);
    process.exit(code === EXIT.ok && !clean ? EXIT.failed : code);
  };
  const fail = (error: unknown): void => {
    log.fatal({err: error, reason: describeError(error)}, 'the process fails');
    void end(EXIT.failed);
  };
  const onSignal = (signal: unknown): void => {
    if (ending) process.exit(EXIT.failed);
    log.info({signal}, 'stopping');
    void end(EXIT.ok);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);

  let started = false;
  try {
    const lag = await life.own(
      'event loop watch',
      () => watchEventLoopLag(registry),
      (watch) => watch.stop(),
    );
    readiness.add('startup', () => {
      if (!started) throw new AppError('unavailable', 'still starting');
    });
    await life.own(
      'ops server',
      () => startOpsServer({port: shared.opsPort, readiness, registry, lagMs: lag.currentMs}),
      (server) => server.stop(),
    );
    const {tracer} = await life.own(
      'tracing',
      () => startTracing({...identity, endpoint: shared.tracingEndpoint, sampleRatio: shared.tracingSampleRatio, log}),
      (tracing) => tracing.stop(),
    );
    const outcome = await options.body({config: loaded, log, registry, tracer, lag, readiness, life, fail});
    started = true;
    if (outcome === 'done') await end(EXIT.ok);
    else log.info({}, 'started');
  } catch (error) {
    // A stop that was asked for while starting makes the start fail; that is no fault.
    if (!life.stopping.aborted) fail(error);
  }
};

const load = <V extends SharedVariables & Readonly<Record<string, Variable>>>({
  definition,
  argv,
  process,
}: RunServiceOptions<V>): ConfigOf<ConfigDefinition<V>> | undefined => {
  try {
    const loaded = loadConfig(definition, process.env, argv);
    if (loaded.kind === 'config') return loaded.config;
    process.stdout.write(loaded.text);
    process.exit(EXIT.ok);
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`);
    process.exit(EXIT.misconfigured);
  }
  return undefined;
};
