import {z} from 'zod';
import {type Desired} from '../../kube/controller.ts';
import {type KubeObject} from '../../kube/object.ts';
import {type RegionContext} from '../context.ts';
import {classNameOf, gatewayText, type HostAt, type WantedHost} from '../entrances.ts';
import {GATEWAY} from '../gateway.ts';
import {gatewayVerdict} from '../gateway-verdict.ts';
import {KINDS} from '../kinds.ts';
import {metadataOf, NAMED_CLASS} from '../labels.ts';
import {SERVICE_PORT} from '../names.ts';

/** The class that the spec names; empty where the cluster's default one is wanted. */
const namedClass = ({spec}: RegionContext): string => spec.ingress.className ?? '';

/**
 * Another class is another Ingress. The API server gives one the default class when it is made, and never again; and a controller that does not serve it
 * any more leaves its address on it, by which it would seem to be served.
 */
export const isOfOtherClass = (context: RegionContext, live: KubeObject): boolean => {
  const made = live.metadata.annotations?.[NAMED_CLASS];
  const named = namedClass(context);
  if (live.kind !== KINDS.ingress.kind || made === undefined || made === named) return false;
  // The default class, by its name.
  return made !== '' || classNameOf(live) !== named;
};

/** The class of the wanted Ingress, as far as it is known. The default class stays what it was when the Ingress was made. */
export const classOf = (context: RegionContext, name: string): string | undefined => {
  const {className} = context.spec.ingress;
  const live = context.children.find(KINDS.ingress, name);
  return className ?? (live === undefined || isOfOtherClass(context, live) ? undefined : classNameOf(live));
};

const ingress = (context: RegionContext, {name, component, at: {host, className}}: WantedHost): Desired => {
  const {annotations, tls, host: deviceHost, adminHost} = context.spec.ingress;
  // One Secret is for both hosts. cert-manager makes it for one of the Ingresses that name it, and must find both there. For others a host here is one that
  // leads here: external-dns gives it this Ingress's address.
  const both = [...new Set([deviceHost, adminHost].filter((name) => name !== undefined))];
  const hosts = Object.keys(annotations).some((name) => MAKES_CERTIFICATES.test(name)) ? both : [host];
  return {
    manifest: {
      ...KINDS.ingress,
      metadata: metadataOf(context, name, component, {
        annotations: {...annotations, [NAMED_CLASS]: namedClass(context)},
      }),
      spec: {
        ...(className === undefined ? {} : {ingressClassName: className}),
        ...(tls.mode === 'Secret' ? {tls: [{hosts, secretName: tls.secretName}]} : {}),
        rules: [
          {
            host,
            http: {
              paths: [{path: '/', pathType: 'Prefix', backend: {service: {name, port: {number: SERVICE_PORT}}}}],
            },
          },
        ],
      },
    },
  };
};

/** What makes cert-manager look at an Ingress. */
const MAKES_CERTIFICATES = /^(?:cert-manager\.io\/|kubernetes\.io\/tls-acme$)/;

type GatewayRef = NonNullable<RegionContext['spec']['ingress']['gatewayRef']>;

const parentOf = (gateway: GatewayRef) => ({group: 'gateway.networking.k8s.io', kind: GATEWAY.kind, ...gateway});

const liveSchema = z.object({
  spec: z.object({
    parentRefs: z.array(
      z.object({name: z.string(), namespace: z.string().optional(), sectionName: z.string().optional()}),
    ),
  }),
});

/** The Gateways through which the host leads here until the wanted one has accepted the route. */
const formerGateways = (
  {children, namespace}: RegionContext,
  {name, at}: WantedHost,
  gateway: GatewayRef,
  held: readonly HostAt[],
): readonly GatewayRef[] => {
  const live = children.find(KINDS.httpRoute, name);
  if (gatewayVerdict(live, gateway).kind === 'accepted') return [];
  const parents = liveSchema.safeParse(live).data?.spec.parentRefs ?? [];
  return parents.filter((parent) => {
    const text = gatewayText(parent, namespace);
    return text !== at.gateway && held.some((has) => has.host === at.host && has.gateway === text);
  });
};

const httpRoute = (
  context: RegionContext,
  wanted: WantedHost,
  gateway: GatewayRef,
  held: readonly HostAt[],
): Desired => {
  const {name, component, at} = wanted;
  return {
    manifest: {
      ...KINDS.httpRoute,
      metadata: metadataOf(context, name, component, {annotations: context.spec.ingress.annotations}),
      spec: {
        parentRefs: [gateway, ...formerGateways(context, wanted, gateway, held)].map(parentOf),
        hostnames: [at.host],
        rules: [
          {
            matches: [{path: {type: 'PathPrefix', value: '/'}}],
            backendRefs: [{group: '', kind: 'Service', name, port: SERVICE_PORT, weight: 1}],
          },
        ],
      },
    },
  };
};

/** How a host leads to a Service of the same name as the route: an Ingress, or an HTTPRoute where a Gateway is named. `held`: hosts that the region has. */
export const route = (context: RegionContext, wanted: WantedHost, held: readonly HostAt[]): Desired => {
  const {gatewayRef} = context.spec.ingress;
  return gatewayRef === undefined ? ingress(context, wanted) : httpRoute(context, wanted, gatewayRef, held);
};
