import {Counter, Gauge, Histogram, type Registry} from 'prom-client';

/**
 * The engine's metrics. Where controller-runtime has a metric for the same thing, name and labels are its own, so that
 * existing dashboards and alerts work.
 */
export interface KubeMetrics {
  readonly passes: Counter<'controller' | 'result'>;
  readonly passErrors: Counter<'controller'>;
  readonly passSeconds: Histogram<'controller'>;
  readonly activeWorkers: Gauge<'controller'>;
  readonly maxWorkers: Gauge<'controller'>;
  readonly queueAdds: Counter<'name' | 'controller'>;
  readonly queueDepth: Gauge<'name' | 'controller' | 'priority'>;
  readonly queueSeconds: Histogram<'name' | 'controller'>;
  readonly workSeconds: Histogram<'name' | 'controller'>;
  readonly queueRetries: Counter<'name' | 'controller'>;
  readonly longestRunningSeconds: Gauge<'name' | 'controller'>;
  readonly leader: Gauge<'name'>;
  readonly requests: Counter<'method' | 'code'>;
  readonly requestSeconds: Histogram<'verb'>;
  readonly watchRestarts: Counter<'kind' | 'reason'>;
  readonly lists: Counter<'kind'>;
  readonly applies: Counter<'kind' | 'result'>;
  readonly driftRepairs: Counter<'kind'>;
  readonly cachedObjects: Gauge<'kind'>;
  readonly unseen: Gauge<'kind' | 'namespace'>;
}

/** `prefix` names the metrics that controller-runtime does not have, e.g. `shop` for `shop_apply_total`. */
export const kubeMetrics = (registry: Registry, prefix: string): KubeMetrics => {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: L[]): Counter<L> =>
    new Counter({name, help, labelNames, registers});
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]): Gauge<L> =>
    new Gauge({name, help, labelNames, registers});
  const histogram = <L extends string>(name: string, help: string, labelNames: L[], buckets: number[]): Histogram<L> =>
    new Histogram({name, help, labelNames, buckets, registers});
  const seconds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300];
  const queue: ('name' | 'controller')[] = ['name', 'controller'];
  return {
    passes: counter('controller_runtime_reconcile_total', 'Passes by result.', ['controller', 'result']),
    passErrors: counter('controller_runtime_reconcile_errors_total', 'Passes that ended in an error.', ['controller']),
    passSeconds: histogram('controller_runtime_reconcile_time_seconds', 'Length of a pass.', ['controller'], seconds),
    activeWorkers: gauge('controller_runtime_active_workers', 'Workers in a pass.', ['controller']),
    maxWorkers: gauge('controller_runtime_max_concurrent_reconciles', 'Workers there are.', ['controller']),
    queueAdds: counter('workqueue_adds_total', 'Keys added.', queue),
    queueDepth: gauge('workqueue_depth', 'Keys waiting.', [...queue, 'priority']),
    queueSeconds: histogram('workqueue_queue_duration_seconds', 'Time a key waits for a worker.', queue, seconds),
    workSeconds: histogram('workqueue_work_duration_seconds', 'Time a worker spends on a key.', queue, seconds),
    queueRetries: counter('workqueue_retries_total', 'Keys added again after a failure.', queue),
    longestRunningSeconds: gauge('workqueue_longest_running_processor_seconds', 'Age of the oldest pass.', queue),
    leader: gauge('leader_election_master_status', '1 while this process leads.', ['name']),
    requests: counter('rest_client_requests_total', 'Requests to the API server.', ['method', 'code']),
    requestSeconds: histogram('rest_client_request_duration_seconds', 'Length of a request.', ['verb'], seconds),
    watchRestarts: counter('watch_restarts_total', 'Watches that ended, by reason.', ['kind', 'reason']),
    lists: counter('watch_lists_total', 'Full lists that were read.', ['kind']),
    applies: counter(`${prefix}_apply_total`, 'Applied objects by result.', ['kind', 'result']),
    driftRepairs: counter(`${prefix}_drift_repairs_total`, 'Changes by others that were undone.', ['kind']),
    cachedObjects: gauge('cached_objects', 'Objects in memory.', ['kind']),
    unseen: gauge('watch_unseen', '1 while a kind is not seen. No namespace: all.', ['kind', 'namespace']),
  };
};
