import {type ApiClient} from '../../kube/api-client.ts';
import {controllerOf, type Kind, recordOf} from '../../kube/object.ts';
import {forever} from '../../kube/testing/fixtures.ts';
import {Discovery} from '../../kube/discovery.ts';
import {systemClock} from '../../kube/clock.ts';
import {KINDS} from '../../region/kinds.ts';
import {type PlayedControllers} from '../../region/testing/played-controllers.ts';

/** What an operator finds in a cluster and has not made. */

const post = (client: ApiClient, path: string, body: object): Promise<unknown> =>
  client.send({method: 'POST', path, body, signal: forever});

/** As much of the Gateway API as that its kinds exist. */
export const installGatewayApi = async (client: ApiClient): Promise<void> => {
  const group = 'gateway.networking.k8s.io';
  for (const [kind, plural] of [
    ['HTTPRoute', 'httproutes'],
    ['Gateway', 'gateways'],
  ] as const) {
    const schema = {openAPIV3Schema: {type: 'object', 'x-kubernetes-preserve-unknown-fields': true}};
    await post(client, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      metadata: {
        name: `${plural}.${group}`,
        // The group is protected: its kinds say by whom they were approved.
        annotations: {'api-approved.kubernetes.io': 'https://github.com/kubernetes-sigs/gateway-api'},
      },
      spec: {
        group,
        scope: 'Namespaced',
        names: {kind, plural, singular: plural.slice(0, -1), listKind: `${kind}List`},
        versions: [{name: 'v1', served: true, storage: true, schema}],
      },
    });
  }
};

export const makeClaim = (client: ApiClient, namespace: string, name: string, labels: object = {}): Promise<unknown> =>
  post(client, `/api/v1/namespaces/${namespace}/persistentvolumeclaims`, {
    metadata: {name, labels},
    spec: {accessModes: ['ReadWriteOnce'], resources: {requests: {storage: '10Gi'}}},
  });

type Fields = Readonly<Record<string, unknown>>;

const FORMER: readonly Kind[] = [
  KINDS.configMap,
  KINDS.service,
  KINDS.serviceAccount,
  KINDS.deployment,
  KINDS.role,
  KINDS.roleBinding,
  KINDS.job,
  KINDS.disruptionBudget,
  KINDS.autoscaler,
];

/** Without what the server has given this object and gives no second one. */
const copyOf = ({kind}: Kind, spec: Fields): Fields => {
  const {clusterIP: _, clusterIPs: __, ...free} = spec;
  if (kind !== KINDS.job.kind) return free;
  const {selector: ___, template, ...job} = free;
  return {...job, template: {spec: recordOf(template)['spec']}};
};

/** Of each kind one that looks like a child of the region's, by a name that no part has. Answers whether any of them is left. */
export const leaveFormerChildren = async (
  client: ApiClient,
  played: PlayedControllers,
  namespace: string,
): Promise<() => Promise<boolean>> => {
  const discovery = new Discovery(client, systemClock);
  const isMade = async (kind: Kind): Promise<boolean> =>
    (await played.children(kind)).some(({metadata}) => metadata.name === 'eu-former');
  for (const kind of FORMER) {
    const model = (await played.children(kind)).find((child) => controllerOf(child) !== undefined);
    if (model === undefined) throw new Error(`the region has no ${kind.kind}`);
    const {metadata, status: _, spec, ...rest} = model;
    const {labels, ownerReferences} = metadata;
    await post(client, await discovery.collectionPath(kind, namespace, forever), {
      ...rest,
      metadata: {name: 'eu-former', namespace, labels, ownerReferences},
      ...(spec === undefined ? {} : {spec: copyOf(kind, recordOf(spec))}),
    });
  }
  return async () => (await Promise.all(FORMER.map(isMade))).includes(true);
};
