import {type Desired} from '../../kube/controller.ts';
import {type RegionContext} from '../context.ts';
import {KINDS} from '../kinds.ts';
import {type Component, metadataOf} from '../labels.ts';
import {SERVICE_PORT} from '../names.ts';

const ingress = (context: RegionContext, name: string, component: Component, host: string): Desired => {
  const {className, annotations, tls} = context.spec.ingress;
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
