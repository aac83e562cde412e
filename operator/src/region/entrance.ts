import {z} from 'zod';
import {type Cluster} from '../kube/controller.ts';
import {type KubeObject} from '../kube/object.ts';
import {judgeCertificate} from './certificate.ts';
import {type RegionContext} from './context.ts';
import {GATEWAY} from './gateway.ts';
import {entranceText, type HostAt} from './entrances.ts';
import {holderOf, type HostHolder, type JudgedHosts, judgeHosts, type TakenHost} from './host-taken.ts';
import {KINDS} from './kinds.ts';
import {type Problem} from './problems.ts';
import {attempt, known, type Reading} from './reading.ts';
import {type Region} from './region.ts';

/** What was seen of the way into a region besides its own children. */
export interface EntranceSeen {
  /** Whether the cluster has the Gateway API. */
  readonly gatewayApi: Reading<boolean>;
  readonly gateway: Reading<KubeObject | undefined>;
  /** The Secret with the certificate. */
  readonly certificate: Reading<KubeObject | undefined>;
  /** The region itself, with the hosts that are its own. */
  readonly own: HostHolder;
  /** All other regions that the operator sees. */
  readonly others: readonly HostHolder[];
  /** Namespaces whose regions it does not see, but looks after. */
  readonly unseen: readonly string[];
}

/** Of a spec that need not be valid. */
const schema = z.object({
  ingress: z.object({
    enabled: z.boolean().default(true),
    tls: z.object({mode: z.string(), secretName: z.string().optional()}).optional(),
    gatewayRef: z.object({name: z.string(), namespace: z.string().optional()}).optional(),
  }),
});

/**
 * Gateway and Secret are a person's: they are looked at in every pass and not watched. An ingress controller gives an Ingress its address without a
 * certificate, too, and then answers every device with one that it does not trust.
 */
export const observeEntrance = async (
  region: Region,
  regions: readonly KubeObject[],
  cluster: Pick<Cluster, 'read' | 'serves' | 'unseen'>,
  signal: AbortSignal,
): Promise<EntranceSeen> => {
  const {namespace} = region;
  const ingress = schema.safeParse(region.spec).data?.ingress;
  const {tls, gatewayRef} = ingress?.enabled === true ? ingress : {};
  const secretName = gatewayRef === undefined && tls?.mode === 'Secret' ? tls.secretName : undefined;
  const [gatewayApi, gateway, certificate] = await Promise.all([
    attempt(() => cluster.serves(KINDS.httpRoute, signal), signal),
    gatewayRef === undefined
      ? known(undefined)
      : attempt(
          () => cluster.read({...GATEWAY, name: gatewayRef.name, namespace: gatewayRef.namespace ?? namespace}, signal),
          signal,
        ),
    secretName === undefined
      ? known(undefined)
      : attempt(() => cluster.read({...KINDS.secret, namespace, name: secretName}, signal), signal),
  ]);
  const own = holderOf(region.object);
  const others = regions.map(holderOf).filter(({uid}) => uid !== own.uid);
  return {gatewayApi, gateway, certificate, own, others, unseen: cluster.unseen(region.object)};
};

/** What follows from it. */
export interface Entrance extends JudgedHosts {
  readonly gatewayApi: Reading<boolean>;
  /** Absent also while it cannot be read. */
  readonly gateway: KubeObject | undefined;
  /** Why hosts do not lead here, or lead nobody here that would stay. */
  readonly problem: Problem | undefined;
  /** What could not be found out. */
  readonly doubt: string | undefined;
  /** Why hosts will not lead here soon. */
  readonly warning: Problem | undefined;
  /** Hosts that are this region's. */
  readonly held: readonly HostAt[];
}

const takenProblem = ([first]: readonly TakenHost[]): Problem | undefined =>
  first && {
    reason: 'HostTaken',
    message:
      first.by === undefined
        ? `whose host ${first.at.host} is cannot be told: waits until the regions of namespace ${first.unseen} are seen`
        : `host ${first.at.host} is already that of region ${first.by} at ${entranceText(first.at)}; give one of the two another host`,
  };

export const judgeEntrance = (seen: EntranceSeen, context: RegionContext, now: Date): Entrance => {
  const {gatewayApi, gateway, certificate, own, others, unseen} = seen;
  const {enabled, host, adminHost, tls, gatewayRef} = context.spec.ingress;
  const {wanted, taken} = judgeHosts(context, own, others, unseen);
  const {secretName} = tls;
  const isNeeded = enabled && gatewayRef === undefined && tls.mode === 'Secret' && secretName !== undefined;
  const {problem, warning} =
    isNeeded && certificate.kind === 'known'
      ? judgeCertificate(secretName, certificate.value, [host ?? [], adminHost ?? []].flat(), now)
      : {};
  const doubts = [
    ...(isNeeded && certificate.kind === 'unknown' ? [`Secret ${secretName}: ${certificate.why}`] : []),
    ...(enabled && gatewayRef !== undefined && gatewayApi.kind === 'unknown'
      ? [`the Gateway API: ${gatewayApi.why}`]
      : []),
  ];
  return {
    gatewayApi,
    gateway: gateway.kind === 'known' ? gateway.value : undefined,
    problem: takenProblem(taken) ?? problem,
    doubt: doubts[0],
    warning,
    held: own.hosts,
    wanted,
    taken,
  };
};
