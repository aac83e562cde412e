import {ApiClient, type ApiClientOptions} from './api-client.ts';
import {ApiCluster} from './api-cluster.ts';
import {Applier} from './applier.ts';
import {Caches, type Cache} from './caches.ts';
import {Claims, LOOK_AGAIN_MS} from './claim.ts';
import {type Clock} from './clock.ts';
import {type CredentialSource} from './connection.ts';
import {type Controller, type EventDraft} from './controller.ts';
import {Discovery} from './discovery.ts';
import {Election} from './election.ts';
import {messageOf, NotLeader, Wait} from './errors.ts';
import {EventRecorder} from './event-recorder.ts';
import {LagProbe, liveness, readiness, type Scope, type Verdict} from './health.ts';
import {type Identity} from './identity.ts';
import {type Log} from './log.ts';
import {type LoopOptions, PASS_DEADLINE_MS, runLoop} from './loop.ts';
import {type KubeMetrics} from './metrics.ts';
import {keyOf, refOf, type Kind, type KubeObject} from './object.ts';
import {ObjectWriter} from './object-writer.ts';
import {runPass, sayFailed, type PassOptions, type PassResult} from './pass.ts';
import {patienceWith, type Unseen} from './patience.ts';
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

const unclaimed = (note: string): EventDraft => ({type: 'Warning', reason: 'NotClaimed', note});

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
  const cluster: ApiCluster = new ApiCluster({
    client,
    discovery,
    caches,
    applier,
    writer,
    identity,
    followedMs: (kind, namespace) => followedMs(kind, namespace),
    unseen: (kind) => unseen(kind),
  });
  const claims = new Claims({client, discovery, caches, clock, log, identity, lease: options.lease});
  const events = new EventRecorder({
    client,
    clock,
    log,
    controller: identity.manager,
    instance: options.lease.identity,
    randomText,
  });
  const reflectors = [...caches].map(({spec, namespace, store}) => {
    const {promise: cleared, resolve} = Promise.withResolvers<undefined>();
    const reflector = new Reflector({
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
      findResource: (resource) => findResource(resource.namespace, resource.name),
      onServedChange: () => wakeAll(),
      onClear: () => {
        resolve(undefined);
        release();
      },
    });
    const label = `${spec.kind}${namespace === undefined ? '' : ` in ${namespace}`}`;
    return {spec, namespace, label, reflector, cleared};
  });
  /** Exists while this process leads; the caches are kept warm without it. */
  let queue: WorkQueue | undefined;
  /** When the term began. */
  let askedMs = 0;
  /** Keys whose turn came while something of their namespace was not seen. */
  const held = new Set<string>();
  const probe = new LagProbe(clock, () => {
    queue?.sample();
    for (const {spec, namespace = '', reflector} of reflectors)
      metrics.unseen.set({kind: spec.kind, namespace}, reflector.obstacle === undefined ? 0 : 1);
  });

  /** What is not seen of a namespace; of all together where there is one list for all. Nothing is done there meanwhile: what is missing in a cache would be taken for gone. */
  const obstaclesIn = (namespace: string | undefined): readonly Unseen[] =>
    reflectors.flatMap(({label, reflector, namespace: its}) => {
      const {obstacle} = reflector;
      return obstacle === undefined || (its !== undefined && its !== namespace) ? [] : [{label, ...obstacle}];
    });

  const followedMs = ({apiVersion, kind}: Kind, namespace: string): number =>
    Math.min(
      ...reflectors
        .filter(
          ({spec, namespace: its = namespace}) =>
            spec.apiVersion === apiVersion && spec.kind === kind && its === namespace,
        )
        .map(({reflector}) => reflector.followedMs()),
    );

  const unseen = ({apiVersion, kind}: Kind): readonly string[] =>
    reflectors.flatMap(({spec, namespace, reflector}) =>
      spec.apiVersion === apiVersion &&
      spec.kind === kind &&
      namespace !== undefined &&
      reflector.obstacle !== undefined
        ? [namespace]
        : [],
    );

  const scopes = (): readonly Scope[] =>
    (options.namespaces.length === 0 ? [undefined] : options.namespaces).map((namespace) => ({
      obstacles: obstaclesIn(namespace),
      remarks: reflectors.flatMap(({label, reflector: {excuse}, namespace: its}) =>
        excuse === undefined || its !== namespace ? [] : [`${label} counts as not installed: ${excuse}`],
      ),
    }));

  const release = (): void => {
    for (const key of held) {
      const [namespace = ''] = key.split('/');
      if (obstaclesIn(namespace).length > 0) continue;
      held.delete(key);
      queue?.add(key, 'normal');
    }
  };

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
    claims.forget(object.metadata.uid);
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
      wake(namespace, objectName, obstaclesIn(namespace).length > 0 ? 'low' : 'high');
      return;
    }
    // An object that loses its label or owner concerns the one it had, too.
    const versions = change.kind === 'modified' ? [object, change.previous] : [object];
    for (const concerned of versions.flatMap((version) => cache.store.concernsOf(version))) {
      if (findResource(concerned.namespace, concerned.name) !== undefined) {
        wake(concerned.namespace, concerned.name, 'normal');
      }
    }
  };

  const sizeOf = (kind: string): number =>
    [...caches].filter(({spec}) => spec.kind === kind).reduce((sum, {store}) => sum + store.size, 0);

  const findResource = (namespace: string, resource: string): KubeObject | undefined =>
    caches.getWhole({...controller.resource, ...(namespace === '' ? {} : {namespace}), name: resource});

  /** In every namespace the resources first: what belongs to none is not kept whole. */
  const watch = async (signal: AbortSignal): Promise<void> => {
    const scopes = Map.groupBy(reflectors, ({namespace}) => namespace).values();
    await Promise.all(
      [...scopes].map(async (scope) => {
        const {first = [], rest = []} = Object.groupBy(scope, ({spec}) => (spec === primarySpec ? 'first' : 'rest'));
        const running = Promise.all(first.map(({reflector}) => reflector.run(signal)));
        await Promise.race([running, Promise.all(first.map(({cleared}) => cleared))]);
        await Promise.all([running, ...rest.map(({reflector}) => reflector.run(signal))]);
      }),
    );
  };

  /** One term: until the lease is lost or the process ends. */
  const lead = async (signal: AbortSignal): Promise<void> => {
    const term = new WorkQueue(name, clock, metrics);
    queue = term;
    askedMs = clock.monotonicMs();
    // Whoever led before may have changed anything since a connection broke. The server answers again, so nobody rests until it is asked.
    for (const {reflector} of reflectors) reflector.hurry();
    wakeAll();
    const waitsFor = scopes().flatMap(({obstacles}) => obstacles.map(({label}) => label));
    const resources = sizeOf(controller.resource.kind);
    log.info({resources, workers: options.workers, ...(waitsFor.length === 0 ? {} : {waitsFor})}, 'reconciling');
    await runLoop({name, queue: term, workers: options.workers, clock, random, metrics, log, pass}, signal);
    queue = undefined;
    held.clear();
    // From now on another process knows better.
    for (const object of primaries.flatMap(({store}) => store.list())) options.onStatus?.(object, undefined);
  };

  /** Another operator looks after it: nothing is written but an event that says so, and nothing is told of it. */
  const leave = async (object: KubeObject, message: string, signal: AbortSignal): Promise<PassResult> => {
    options.onStatus?.(object, undefined);
    await events.report(refOf(object), [{type: 'Warning', reason: 'HeldByAnotherOperator', note: message}], signal);
    return {kind: 'refused', next: {kind: 'after', delayMs: LOOK_AGAIN_MS}, retryAfterMs: 0, problems: [message]};
  };

  const passOptions: PassOptions<R, Observed, Status> = {
    controller,
    cluster,
    events,
    clock,
    kept: new Map(),
    onStatus: options.onStatus,
  };

  /** It is not worked on until all of its namespace is seen; what was said of it must not be believed until then if that takes long. */
  const hold = async (object: KubeObject, obstacles: readonly Unseen[], signal: AbortSignal): Promise<PassResult> => {
    const result = {kind: 'unseen', retryAfterMs: 0} as const;
    const {problems, againMs} = patienceWith(obstacles, askedMs, clock.monotonicMs());
    const next = {kind: 'after', delayMs: againMs} as const;
    const [problem] = problems;
    if (problem === undefined) return {...result, next, problems: []};
    const holder = await claims.holderOf(object, signal);
    if (holder === 'another') return {...result, next, problems: []};
    const note = `nothing is done until all of its namespace is seen: ${problem}`;
    await events.report(refOf(object), [{type: 'Warning', reason: 'NotSeen', note}], signal);
    // The server may refuse that as well. The metrics have it.
    if (holder === 'us') await sayFailed(object, problem, passOptions, signal).catch(() => undefined);
    return {...result, next, problems};
  };

  /** For as long as the server knows it otherwise than this process sees it. */
  const sayOverdue = async (object: KubeObject, {message}: Wait, signal: AbortSignal): Promise<void> => {
    const problem = `again and again: ${message}`;
    if ((await claims.holderOf(object, signal)) !== 'us')
      await events.report(refOf(object), [unclaimed(`nothing is done: ${problem}`)], signal);
    else
      await sayFailed(object, problem, passOptions, signal).catch(() =>
        // A status is written to what this process sees, and an event to anything.
        events.report(refOf(object), [{type: 'Warning', reason: 'PassFailed', note: problem}], signal, true),
      );
  };

  const pass: LoopOptions['pass'] = async (key, deadline, signal, isOverdue) => {
    const [namespace = '', resource = ''] = key.split('/');
    const obstacles = obstaclesIn(namespace);
    if (obstacles.length > 0) held.add(key);
    const found = findResource(namespace, resource);
    if (found === undefined) return undefined;
    try {
      return await (obstacles.length > 0 ? hold(found, obstacles, signal) : reconcile(found, deadline, signal));
    } catch (error) {
      if (error instanceof Wait && isOverdue) await sayOverdue(found, error, signal);
      throw error;
    } finally {
      // Deleted meanwhile: something may have been remembered and told of it after the deletion was seen.
      if (findResource(namespace, resource)?.metadata.uid !== found.metadata.uid) forget(found);
    }
  };

  const reconcile = async (
    found: KubeObject,
    deadline: AbortSignal,
    signal: AbortSignal,
  ): Promise<PassResult | undefined> => {
    const claim = await claims.take(found, deadline).catch(async (error: unknown) => {
      // Its status may be another operator's, so an event has to do.
      if (!(error instanceof Wait || error instanceof NotLeader || signal.aborted))
        await events.report(
          refOf(found),
          [unclaimed(`nothing is done until it is known which operator looks after it: ${messageOf(error)}`)],
          signal,
        );
      throw error;
    });
    if (claim.kind === 'gone') return undefined;
    if (claim.kind === 'theirs') return leave(found, claim.message, signal);
    const {object, refusal} = claim;
    const note = `worked on all the same: that this operator looks after it could not be written down: ${refusal}`;
    const unwritten = refusal === undefined ? [] : [note];
    const report: EventRecorder['report'] = (regarding, drafts, ends, isMore) =>
      events.report(regarding, [...drafts, ...unwritten.map(unclaimed)], ends, isMore);
    const result = await runPass(object, {...passOptions, events: {report}}, deadline, signal);
    log.debug({key: keyOf(object), result: result.kind}, 'pass');
    const kind = result.kind === 'quiet' && refusal !== undefined ? 'refused' : result.kind;
    return {...result, kind, problems: [...result.problems, ...unwritten]};
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
    ready: () => readiness(scopes()),
    live: () => liveness(probe.lagMs(), queue?.longestRunningMs() ?? 0, PASS_DEADLINE_MS),
    isLeader: () => election.isLeader,
  };
};
