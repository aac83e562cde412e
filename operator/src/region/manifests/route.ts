import {z} from 'zod';
import {type Desired} from '../../kube/controller.ts';
import {type KubeObject} from '../../kube/object.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {type Component, metadataOf, NAMED_CLASS} from '../labels.ts';
import {SERVICE_PORT} from '../names.ts';

const liveSchema = z.object({spec: z.object({ingressClassName: z.string().optional()})});

/** The class that the spec names; empty where the cluster's default one is wanted. */
const namedClass = ({spec}: RegionContext): string => spec.ingress.className ?? '';

/**
 * Another class is another Ingress. The API server gives one the default class when it is made, and never again; and a controller that does not serve it
 * any more leaves its address on it, by which it would seem to be served.
 */
export const isOfOtherClass = (context: RegionContext, {kind, metadata}: KubeObject): boolean => {
  const made = metadata.annotations?.[NAMED_CLASS];
  return kind === KINDS.ingress.kind && made !== undefined && made !== namedClass(context);
};

/** The default class stays what it was when the Ingress was made. */
const classOf = ({spec, children}: RegionContext, name: string): string | undefined =>
  spec.ingress.className ?? liveSchema.safeParse(children.find(KINDS.ingress, name)).data?.spec.ingressClassName;

const ingress = (context: RegionContext, name: string, component: Component, host: string): Desired => {
  const {annotations, tls} = context.spec.ingress;
  const className = classOf(context, name);
  return {
    manifest: {
      ...KINDS.ingress,
      metadata: metadataOf(context, name, component, {
        annotations: {...annotations, [NAMED_CLASS]: namedClass(context)},
      }),
      spec: {
        ...(className === undefined ? {} : {ingressClassName: className}),
        ...(tls.mode === 'Secret' ? {tls: [{hosts: [host], secretName: tls.secretName}]} : {}),
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

const httpRoute = (
  context: RegionContext,
  name: string,
  component: Component,
  host: string,
  gateway: NonNullable<RegionContext['spec']['ingress']['gatewayRef']>,
): Desired => ({
  manifest: {
    ...KINDS.httpRoute,
    metadata: metadataOf(context, name, component, {annotations: context.spec.ingress.annotations}),
    spec: {
      parentRefs: [{group: 'gateway.networking.k8s.io', kind: 'Gateway', ...gateway}],
      hostnames: [host],
      rules: [
        {
          matches: [{path: {type: 'PathPrefix', value: '/'}}],
          backendRefs: [{group: '', kind: 'Service', name, port: SERVICE_PORT, weight: 1}],
        },
      ],
    },
  },
});

/** How a host leads to a Service of the same name as the route: an Ingress, an HTTPRoute where a Gateway is named, nothing without a host. */
export const route = (
  context: RegionContext,
  name: string,
  component: Component,
  host: string | undefined,
): readonly Desired[] => {
  const {enabled, gatewayRef} = context.spec.ingress;
  if (!enabled || host === undefined) return [];
  return [
    gatewayRef === undefined
      ? ingress(context, name, component, host)
      : httpRoute(context, name, component, host, gatewayRef),
  ];
};
