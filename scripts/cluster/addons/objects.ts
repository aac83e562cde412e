/** What every cluster needs besides its components, as Kubernetes objects. */

/** A Kubernetes object as it is written to the API server. */
export type KubeObject = Readonly<Record<string, unknown>> & {readonly apiVersion: string; readonly kind: string};

export const INGRESS_NAMESPACE = 'projectcontour';

/** IngressClass, GatewayClass and the Gateway `pisync` with listeners for HTTP and HTTPS that take routes from every namespace. */
export function ingressObjects(tls: {readonly certificate: Buffer; readonly key: Buffer}): readonly KubeObject[] {
  const listener = (name: string, port: number, more: object): object => ({
    name,
    port,
    allowedRoutes: {namespaces: {from: 'All'}},
    ...more,
  });
  return [
    {apiVersion: 'v1', kind: 'Namespace', metadata: {name: INGRESS_NAMESPACE}},
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {name: 'ingress-tls', namespace: INGRESS_NAMESPACE},
      type: 'kubernetes.io/tls',
      data: {'tls.crt': tls.certificate.toString('base64'), 'tls.key': tls.key.toString('base64')},
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'IngressClass',
      metadata: {name: 'contour', annotations: {'ingressclass.kubernetes.io/is-default-class': 'true'}},
      spec: {controller: 'projectcontour.io/ingress-controller'},
    },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'GatewayClass',
      metadata: {name: 'contour'},
      spec: {controllerName: 'projectcontour.io/gateway-controller'},
    },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: {name: 'pisync', namespace: INGRESS_NAMESPACE},
      spec: {
        gatewayClassName: 'contour',
        listeners: [
          listener('http', 80, {protocol: 'HTTP'}),
          listener('https', 443, {
            protocol: 'HTTPS',
            tls: {mode: 'Terminate', certificateRefs: [{name: 'ingress-tls'}]},
          }),
        ],
      },
    },
  ];
}

/** The class whose volumes grow. */
export const GROWING_CLASS = 'growing';
export const GROWING_PROVISIONER = 'growing-volumes.pisync.io';

/**
 * The default StorageClass: volumes are folders on the node where their pod runs first. And one whose volumes have a real size and can grow, see
 * `tools/growing-volumes`.
 */
export function storageObjects(): readonly KubeObject[] {
  return [
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: {name: GROWING_CLASS},
      provisioner: GROWING_PROVISIONER,
      volumeBindingMode: 'WaitForFirstConsumer',
      reclaimPolicy: 'Delete',
      allowVolumeExpansion: true,
    },
    {apiVersion: 'v1', kind: 'Namespace', metadata: {name: 'local-path-storage'}},
    {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: {name: 'local-path-provisioner-service-account', namespace: 'local-path-storage'},
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {name: 'local-path-config', namespace: 'local-path-storage'},
      data: {
        setup: '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n',
        teardown: '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
      },
    },
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: {
        name: 'standard',
        annotations: {
          'storageclass.kubernetes.io/is-default-class': 'true',
          // Volumes of type `local` get a pod's fsGroup, those of type hostPath do not.
          defaultVolumeType: 'local',
        },
      },
      provisioner: 'rancher.io/local-path',
      volumeBindingMode: 'WaitForFirstConsumer',
      reclaimPolicy: 'Delete',
    },
  ];
}

/** Services whose one endpoint runs beside the API server instead of in a pod. */
export function controlPlaneServices(address: string, dnsAddress: string): readonly KubeObject[] {
  const endpoints = (service: string, ports: readonly object[]): KubeObject => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${service}-control-plane`,
      namespace: 'kube-system',
      labels: {'kubernetes.io/service-name': service},
    },
    addressType: 'IPv4',
    ports,
    endpoints: [{addresses: [address], conditions: {ready: true}}],
  });
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {name: 'kube-dns', namespace: 'kube-system'},
      spec: {
        clusterIP: dnsAddress,
        ports: [
          {name: 'dns', port: 53, protocol: 'UDP'},
          {name: 'dns-tcp', port: 53, protocol: 'TCP'},
        ],
      },
    },
    endpoints('kube-dns', [
      {name: 'dns', port: 53, protocol: 'UDP'},
      {name: 'dns-tcp', port: 53, protocol: 'TCP'},
    ]),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {name: 'metrics-server', namespace: 'kube-system'},
      spec: {ports: [{port: 443, targetPort: 4443}]},
    },
    endpoints('metrics-server', [{port: 4443, protocol: 'TCP'}]),
    {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: {name: 'v1beta1.metrics.k8s.io'},
      spec: {
        group: 'metrics.k8s.io',
        version: 'v1beta1',
        groupPriorityMinimum: 100,
        versionPriority: 100,
        insecureSkipTLSVerify: true,
        service: {name: 'metrics-server', namespace: 'kube-system', port: 443},
      },
    },
  ];
}

/** Several objects as the text of one file for `kubectl apply`. */
export const asList = (objects: readonly KubeObject[]): string =>
  JSON.stringify({apiVersion: 'v1', kind: 'List', items: objects});
