/** What `make demo` ends with: a page for people and out/demo.json for programs. */
import {z} from 'zod';

const percentiles = z.object({p50Ms: z.number(), p99Ms: z.number(), maxMs: z.number()});

/** The parts of the fleet's report that are used. */
export const fleetReportSchema = z.object({
  devices: z.int(),
  enrolled: z.int(),
  batches: z.int(),
  records: z.int(),
  acked: z.int(),
  unfinished: z.int(),
  retries: z.int(),
  enrolSeconds: z.number(),
  syncSeconds: z.number(),
  request: percentiles,
  accept: percentiles,
});

export const verdictSchema = z.object({
  ok: z.boolean(),
  devices: z.int(),
  batches: z.int(),
  acked: z.int(),
  applied: z.int(),
  unknownApplied: z.int(),
  records: z.int(),
  lost: z.int(),
  duplicated: z.int(),
});

export interface DemoReport {
  readonly kubernetes: string;
  readonly cluster: string;
  readonly ok: boolean;
  readonly readySeconds: number;
  readonly firstSyncSeconds: number;
  readonly totalSeconds: number;
  readonly devices: number;
  readonly batches: number;
  readonly records: number;
  readonly acked: number;
  readonly applied: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly unknownApplied: number;
  readonly retries: number;
  /** One HTTP call of a sync. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** From when a batch was due to its 2xx: with retries, and with the waits that the region asked for while a shard was away. */
  readonly acceptP50Ms: number;
  readonly acceptP99Ms: number;
  readonly acceptMaxMs: number;
  readonly kills: readonly {
    readonly what: string;
    readonly pod: string;
    readonly how: string;
    readonly backSeconds: number;
  }[];
}

export interface Addresses {
  readonly forward: string;
  readonly adminHost: string;
}

export const renderReport = (report: DemoReport, {forward, adminHost}: Addresses): string => {
  const row = (name: string, value: string | number): string => `  ${name.padEnd(26)} ${value}`;
  const port = new URL(forward).port;
  return [
    '',
    report.ok ? 'Nothing was lost, nothing came twice.' : 'THE JUDGE FOUND SOMETHING: see above.',
    '',
    row('Kubernetes', `${report.kubernetes} (${report.cluster})`),
    row('region Ready', `${report.readySeconds} s after kubectl apply`),
    row('first sync applied', `${report.firstSyncSeconds} s after kubectl apply`),
    row('devices', report.devices),
    row('batches, records', `${report.batches}, ${report.records}`),
    row('acked, applied', `${report.acked}, ${report.applied}`),
    row('lost, duplicated', `${report.lost}, ${report.duplicated}`),
    row('one call', `p50 ${report.p50Ms} ms, p99 ${report.p99Ms} ms`),
    row(
      'from due to accepted',
      `p50 ${report.acceptP50Ms} ms, p99 ${report.acceptP99Ms} ms (with ${report.retries} retries)`,
    ),
    ...report.kills.map(({what, pod, how, backSeconds}) =>
      row(`killed ${what}`, `${pod} (${how}), ready again after ${backSeconds} s`),
    ),
    row('whole demo', `${report.totalSeconds} s`),
    '',
    'The region stays up. Look at it:',
    '',
    `  dashboard   http://${adminHost}:${port}/`,
    '  sign in     with the token that this prints:',
    `              node scripts/cluster/main.ts exec -- kubectl get secret eu-bootstrap -o go-template='{{index .data "admin-token" | base64decode}}'`,
    '  the object  node scripts/cluster/main.ts exec -- kubectl get psr eu -o wide',
    '',
    'What to try next:',
    '',
    '  node scripts/cluster/main.ts shell                 kubectl and helm where the cluster is',
    '  kubectl patch psr eu --type merge -p \'{"spec":{"workers":{"replicas":3}}}\'',
    '  kubectl delete deployment eu-worker                the operator makes it again',
    '  make down                                          ends it all',
    '',
  ].join('\n');
};
