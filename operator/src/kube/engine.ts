import {ApiClient, type ApiClientOptions} from './api-client.ts';
import {ApiCluster} from './api-cluster.ts';
import {Applier} from './applier.ts';
import {Caches, type Cache} from './caches.ts';
import {Claims, LOOK_AGAIN_MS} from './claim.ts';
import {pause, type Clock} from './clock.ts';
import {type CredentialSource} from './connection.ts';
import {type Controller} from './controller.ts';
import {Discovery} from './discovery.ts';
import {Election} from './election.ts';
import {messageOf} from './errors.ts';
import {EventRecorder} from './event-recorder.ts';
import {LagProbe, liveness, readiness, type Verdict} from './health.ts';
import {type Identity} from './identity.ts';
import {type Log} from './log.ts';
import {PASS_DEADLINE_MS, runLoop} from './loop.ts';
import {type KubeMetrics} from './metrics.ts';
import {keyOf, refOf, type KubeObject} from './object.ts';
import {ObjectWriter} from './object-writer.ts';
import {runPass, type PassResult} from './pass.ts';
import {Reflector} from './reflector.ts';
import {type Change} from './store.ts';
import {WorkQueue, type Priority} from './work-queue.ts';

export interface EngineOptions<R, Observed, Status> {
  /** Lower case, for metrics and logs. */
  readonly name: string;
  readonly controller: Controller<R, Observed, Status>;
  readonly identity: Identity;
  readonly credentials: CredentialSource;
  readonly userAgent: string;
  /** Empty: all namespaces (needs cluster-wide rights to list). */
  readonly namespaces: readonly string[];
  /** Label selector of the resources that this operator looks after. Absent: all. */
  readonly selector?: string | undefined;
  readonly workers: number;
  readonly lease: {readonly namespace: string; readonly name: string; readonly identity: string};
  readonly clock: Clock;
  readonly random: () => number;
  readonly randomText: (bytes: number, encoding: 'base64url' | 'hex') => string;
  readonly metrics: KubeMetrics;
  readonly log: Log;
  /** For metrics about resources: told of every status that was decided, and `undefined` of objects that are gone or that another process leads now. */
  readonly onStatus?: (object: KubeObject, status: Status | undefined) => void;
}

export interface Engine {
  /** Watches, takes part in the election and, while leading, reconciles; until the signal aborts. Rejects if its own work broke: end the process. */
  run(signal: AbortSignal): Promise<void>;
  ready(): Verdict;
  live(): Verdict;
  isLeader(): boolean;
}

const SYNC_POLL_MS = 50;

/** Wires the engine's parts around one controller. */
export const createEngine = <R, Observed, Status>(options: EngineOptions<R, Observed, Status>): Engine => {
  const {controller, identity, clock, random, randomText, metrics, log, name} = options;
  const clientOptions: ApiClientOptions = {
    credentials: options.credentials,
    clock,
    userAgent: options.userAgent,
    onRequest: (method, status, durationMs) => {
      metrics.requests.inc({method, code: String(status)});
      metrics.requestSeconds.observe({verb: method}, durationMs / 1000);
    },
  };
  const client: ApiClient = new ApiClient({...clientOptions, mayWriteForMs: () => election.mayWriteForMs()});
  const leaseClient = new ApiClient({...clientOptions, isUrgent: true});
  const election: Election = new Election({
    client: leaseClient,
    clock,
    random,
    log,
    metrics,
    ...options.lease,
    lead: (signal) => lead(signal),
  });
  const discovery = new Discovery(client, clock);
  const ours = options.selector === undefined ? {} : {labelSelector: options.selector};
  const specs = [{...controller.resource, ...ours}, ...controller.watches];
  const caches: Caches = new Caches(specs, options.namespaces, (change, cache) => onChange(change, cache));
  const [primarySpec] = specs;
  const primaries = [...caches].filter(({spec}) => spec === primarySpec);
  const writer = new ObjectWriter({client, discovery, caches, identity, randomText});
  const applier = new Applier({writer, caches, clock, identity, metrics});
  const cluster = new ApiCluster({client, discovery, caches, applier, writer, identity});
  const claims = new Claims({client, discovery, caches, clock, log, identity, lease: options.lease});
  const events = new EventRecorder({
    client,
    clock,
    log,
    controller: identity.manager,
    instance: options.lease.identity,
    randomText,
  });
  const reflectors = [...caches].map(({spec, namespace, store}) => ({
    isPrimary: spec === primarySpec,
    label: `${spec.kind}${namespace === undefined ? '' : ` in ${namespace}`}`,
    reflector: new Reflector({
      spec,
      ...(namespace === undefined ? {} : {namespace}),
      store,
      client,
      discovery,
      clock,
      random,
      metrics,
      identity,
      log,
      isKnown: (resource) => findResource(resource.namespace, resource.name) !== undefined,
      onServedChange: () => wakeAll(),
    }),
  }));
  /** Exists while this process leads; the caches are kept warm without it. */
  let queue: WorkQueue | undefined;
  const probe = new LagProbe(clock, () => queue?.sample());

  const unsynced = (): readonly string[] =>
    reflectors.filter(({reflector}) => !reflector.synced).map(({label}) => label);

  const wake = (namespace: string, resource: string, priority: Priority): void =>
    queue?.add(`${namespace}/${resource}`, priority);

  const wakeAll = (): void => {
    for (const {metadata} of primaries.flatMap(({store}) => store.list())) {
      wake(metadata.namespace ?? '', metadata.name, 'low');
    }
  };

  /** Nothing is remembered or told any more of an object that is gone. */
  const forget = (object: KubeObject): void => {
    cluster.forget(object.metadata.uid);
    events.forget(object.metadata.uid);
    options.onStatus?.(object, undefined);
  };

  /** Runs inside of a watch: an error in what a controller supplied (`concerns`) must not end it. */
  const onChange = (change: Change, cache: Cache): void => {
    try {
      handle(change, cache);
    } catch (error) {
      log.error(
        {kind: cache.spec.kind, object: change.object.metadata.name, error: messageOf(error)},
        'change not handled',
      );
    }
  };

  const handle = (change: Change, cache: Cache): void => {
    const {object} = change;
    const {namespace = '', name: objectName} = object.metadata;
    if (change.kind !== 'modified') {
      metrics.cachedObjects.set({kind: cache.spec.kind}, sizeOf(cache.spec.kind));
    }
    if (cache.spec === primarySpec) {
      if (change.kind === 'deleted') forget(object);
      wake(namespace, objectName, unsynced().length > 0 ? 'low' : 'high');
      return;
    }
    // An object that loses its label or owner concerns the one it had, too.
    const versions = change.kind === 'modified' ? [object, change.previous] : [object];
    for (const concerned of versions.flatMap((version) => cache.store.concernsOf(version))) {
      if (findResource(concerned.namespace, concerned.name) !== undefined) {
        wake(concerned.namespace, concerned.name, 'normal');
      }
    }
    const {referencedBy} = cache.spec;
    if (referencedBy === undefined) return;
    for (const resource of primaries.flatMap(({store}) => store.list(namespace))) {
      if (referencedBy(object, resource)) wake(namespace, resource.metadata.name, 'normal');
    }
  };

  const sizeOf = (kind: string): number =>
    [...caches].filter(({spec}) => spec.kind === kind).reduce((sum, {store}) => sum + store.size, 0);

  const findResource = (namespace: string, resource: string): KubeObject | undefined =>
    caches.getWhole({...controller.resource, ...(namespace === '' ? {} : {namespace}), name: resource});

  /** The resources first: what belongs to none is not kept whole. */
  const watch = async (signal: AbortSignal): Promise<void> => {
    const {first = [], rest = []} = Object.groupBy(reflectors, ({isPrimary}) => (isPrimary ? 'first' : 'rest'));
    const running = first.map(({reflector}) => reflector.run(signal));
    while (first.some(({reflector}) => !reflector.synced) && !signal.aborted) await pause(clock, SYNC_POLL_MS, signal);
    await Promise.all([...running, ...rest.map(({reflector}) => reflector.run(signal))]);
  };

  /** One term: from the caches' first sync until the lease is lost or the process ends. */
  const lead = async (signal: AbortSignal): Promise<void> => {
    while (unsynced().length > 0 && !signal.aborted) await pause(clock, SYNC_POLL_MS, signal);
    if (signal.aborted) return;
    const term = new WorkQueue(name, clock, metrics);
    queue = term;
    wakeAll();
    log.info({resources: sizeOf(controller.resource.kind), workers: options.workers}, 'reconciling');
    await runLoop({name, queue: term, workers: options.workers, clock, random, metrics, log, pass}, signal);
    queue = undefined;
    // From now on another process knows better.
    for (const object of primaries.flatMap(({store}) => store.list())) options.onStatus?.(object, undefined);
  };

  /** Another operator looks after it: nothing is written but an event that says so, and nothing is told of it. */
  const leave = async (object: KubeObject, message: string, signal: AbortSignal): Promise<PassResult> => {
    options.onStatus?.(object, undefined);
    await events.report(refOf(object), [{type: 'Warning', reason: 'HeldByAnotherOperator', note: message}], signal);
    return {kind: 'refused', next: {kind: 'after', delayMs: LOOK_AGAIN_MS}, retryAfterMs: 0, problems: [message]};
  };

  const pass = async (key: string, deadline: AbortSignal, signal: AbortSignal): Promise<PassResult | undefined> => {
    const [namespace = '', resource = ''] = key.split('/');
    const found = findResource(namespace, resource);
    if (found === undefined) return undefined;
    const claim = await claims.take(found, deadline);
    if (claim.kind === 'gone') return undefined;
    if (claim.kind === 'theirs') return leave(found, claim.message, signal);
    const {object} = claim;
    const result = await runPass(
      object,
      {controller, cluster, events, clock, onStatus: options.onStatus},
      deadline,
      signal,
    ).finally(() => {
      // Deleted during the pass, which has remembered and told something of it after the deletion was seen.
      if (findResource(namespace, resource)?.metadata.uid !== object.metadata.uid) forget(object);
    });
    log.debug({key: keyOf(object), result: result.kind}, 'pass');
    return result;
  };

  return {
    run: async (signal) => {
      probe.start();
      try {
        // Watches outlive the election, so that the last passes still see the world.
        const watching = new AbortController();
        const watches = watch(watching.signal);
        try {
          await election.run(signal);
        } finally {
          watching.abort();
          await watches;
        }
      } finally {
        probe.stop();
        await Promise.all([client.close(), leaseClient.close()]);
      }
    },
    ready: () => readiness(unsynced()),
    live: () => liveness(probe.lagMs(), queue?.longestRunningMs() ?? 0, PASS_DEADLINE_MS),
    isLeader: () => election.isLeader,
  };
};
