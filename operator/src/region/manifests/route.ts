import {z} from 'zod';
import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {type Component, metadataOf} from '../labels.ts';
import {SERVICE_PORT} from '../names.ts';

const liveSchema = z.object({spec: z.object({ingressClassName: z.string().optional()})});

/**
 * The API server gives an Ingress the default class when it is made, and never again: one whose class was named in the spec, and is not any more, would be left
 * without one, served by nobody. It keeps the class that it has.
 */
const classOf = ({spec, children}: RegionContext, name: string): string | undefined =>
  spec.ingress.className ?? liveSchema.safeParse(children.find(KINDS.ingress, name)).data?.spec.ingressClassName;

const ingress = (context: RegionContext, name: string, component: Component, host: string): Desired => {
  const {annotations, tls} = context.spec.ingress;
  const className = classOf(context, name);
  return {
    manifest: {
      ...KINDS.ingress,
      metadata: metadataOf(context, name, component, {annotations}),
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
