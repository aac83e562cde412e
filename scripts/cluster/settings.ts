import {join} from 'node:path';
import {Refusal} from './refusal.ts';

/** What the user chose for the local cluster, read once from the environment. */
export interface Settings {
  /** The checkout's root: the cluster belongs to it. */
  readonly checkout: string;
  /** Folder for results inside the checkout; `cluster.json` is written here. */
  readonly out: string;
  /** `PISYNC_CLUSTER`: forces one kind of cluster. */
  readonly kind: 'bare' | 'kind' | undefined;
  /** `PISYNC_KUBECONFIG`: use this existing cluster and touch nothing. */
  readonly kubeconfig: string | undefined;
  /** `PISYNC_NODES`: how many nodes, 1 to 9. */
  readonly nodes: number;
  /** `PISYNC_INGRESS_PORT`: the port of 127.0.0.1 on which a browser reaches the ingress. */
  readonly ingressPort: number;
  /** `PISYNC_INGRESS_TLS_PORT`: the same for HTTPS. */
  readonly ingressTlsPort: number;
}

/** A checkout's folder for results. */
export const outOf = (checkout: string): string => join(checkout, 'out');

/** @throws Refusal that names every variable with a bad value. */
export function readSettings(env: Readonly<Record<string, string | undefined>>, checkout: string): Settings {
  const problems: string[] = [];
  const integer = (name: string, fallback: number, min: number, max: number): number => {
    const text = env[name];
    if (text === undefined || text === '') return fallback;
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    problems.push(`${name} must be a whole number from ${min} to ${max}, not "${text}"`);
    return fallback;
  };
  const kind = env['PISYNC_CLUSTER'] === '' ? undefined : env['PISYNC_CLUSTER'];
  if (kind !== undefined && kind !== 'bare' && kind !== 'kind')
    problems.push(`PISYNC_CLUSTER must be bare or kind, not "${kind}"`);
  const settings: Settings = {
    checkout,
    out: outOf(checkout),
    kind: kind === 'bare' || kind === 'kind' ? kind : undefined,
    kubeconfig: env['PISYNC_KUBECONFIG'] === '' ? undefined : env['PISYNC_KUBECONFIG'],
    nodes: integer('PISYNC_NODES', 3, 1, 9),
    ingressPort: integer('PISYNC_INGRESS_PORT', 8088, 1, 65_535),
    ingressTlsPort: integer('PISYNC_INGRESS_TLS_PORT', 8443, 1, 65_535),
  };
  if (problems.length > 0) throw new Refusal(problems.join('\n'));
  return settings;
}
