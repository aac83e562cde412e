import {PORTS} from '@pisync/contract/ports';
import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {COMPONENT, INSTANCE, metadataOf, POD_COMPONENTS, type PodComponent, selectorOf} from '../labels.ts';

const podsOf = (context: RegionContext, components: readonly PodComponent[]): object => ({
  podSelector: {
    matchLabels: {[INSTANCE]: context.name},
    matchExpressions: [{key: COMPONENT, operator: 'In', values: components}],
  },
});

const tcp = (...ports: readonly number[]) => ports.map((port) => ({port, protocol: 'TCP'}));

const policy = (context: RegionContext, name: string, component: PodComponent, spec: object): readonly Desired[] =>
  context.spec.networkPolicy.enabled
    ? [
        {
          manifest: {
            ...KINDS.networkPolicy,
            metadata: metadataOf(context, name, component),
            spec: {podSelector: {matchLabels: selectorOf(context.name, component)}, ...spec},
          },
        },
      ]
    : [];

type DataTier = 'postgres' | 'rabbitmq' | 'redis';
const ALL: readonly DataTier[] = ['postgres', 'rabbitmq', 'redis'];

/** Whom each component connects to as a client. */
const SERVERS_OF: Readonly<Record<PodComponent, readonly DataTier[]>> = {
  postgres: [],
  rabbitmq: [],
  redis: [],
  'device-api': ALL,
  'admin-api': ALL,
  worker: ALL,
  keeper: ALL,
  migration: ['postgres'],
};

const clientsOf = (tier: DataTier): readonly PodComponent[] =>
  POD_COMPONENTS.filter((component) => SERVERS_OF[component].includes(tier));

/** The pods of OpenShift's DNS listen on another port than its Service, and a policy may see either. */
const DNS = [53, 5353].flatMap((port) => [
  {port, protocol: 'UDP'},
  {port, protocol: 'TCP'},
]);

/** A data tier: only the region's own services get in, and it calls nobody but, in a cluster, its own peers. */
const dataTier = (
  context: RegionContext,
  name: string,
  component: DataTier,
  port: number,
  peers: readonly object[] = [],
): readonly Desired[] =>
  policy(context, name, component, {
    policyTypes: ['Ingress', 'Egress'],
    ingress: [
      {from: [podsOf(context, clientsOf(component))], ports: tcp(port)},
      ...peers.map((from) => ({from: [from]})),
    ],
    egress: [...peers.map((to) => ({to: [to]})), {ports: DNS}],
  });

export const postgresPolicy = (context: RegionContext): readonly Desired[] =>
  dataTier(context, context.names.postgres, 'postgres', PORTS.postgres);

export const rabbitmqPolicy = (context: RegionContext): readonly Desired[] =>
  dataTier(context, context.names.rabbitmq, 'rabbitmq', PORTS.amqp, [podsOf(context, ['rabbitmq'])]);

export const redisPolicy = (context: RegionContext): readonly Desired[] =>
  dataTier(context, context.names.redis, 'redis', PORTS.redis);

/**
 * A service: its port for traffic is open (an ingress controller's pods may be anywhere, also on the nodes' network), metrics are open inside the cluster. It may
 * call anything: a policy can name no hosts, and the tracing endpoint, the API server (for the keeper) and the DNS of a node are at addresses that the operator does not
 * know. That it may is said, so that it can also where another policy of the namespace admits nothing.
 */
export const servicePolicy = (
  context: RegionContext,
  name: string,
  component: PodComponent,
  options: {readonly servesTraffic: boolean},
): readonly Desired[] =>
  policy(context, name, component, {
    policyTypes: ['Ingress', 'Egress'],
    ingress: [
      ...(options.servesTraffic ? [{ports: tcp(PORTS.http)}] : []),
      {from: [{namespaceSelector: {}}], ports: tcp(PORTS.ops)},
    ],
    egress: [{}],
  });

/** Nobody calls a migration. It may call anything, like a service. */
export const migrationPolicy = (context: RegionContext): readonly Desired[] =>
  policy(context, context.names.migrations, 'migration', {policyTypes: ['Ingress', 'Egress'], egress: [{}]});
