/**
 * TCP ports inside the cluster. The operator writes them into Services and probes; the services listen on them.
 */
export const PORTS = {
  /** device-api and admin-api: the traffic they exist for. */
  http: 8080,
  /** Every process: `/healthz`, `/readyz`, `/metrics`. Never routed from outside. */
  ops: 9090,
  postgres: 5432,
  amqp: 5672,
  redis: 6379,
} as const;

/** Paths on {@link PORTS}.ops. Liveness checks nothing external; readiness checks dependencies. */
export const OPS_PATHS = {live: '/healthz', ready: '/readyz', metrics: '/metrics'} as const;
