import {type ApiClient} from '../api-client.ts';
import {type Controller, type Desired, type ObjectOutcome} from '../controller.ts';
import {type EngineOptions} from '../engine.ts';
import {refOf, type KubeObject, type ObjectRef} from '../object.ts';
import {forever, identity} from './fixtures.ts';

/** A small kind of its own and its controller, for tests of the whole engine: a Shop owns one ConfigMap a shelf, and a Deployment. */
interface ShopStatus {
  readonly shelves: number;
  readonly problems: readonly string[];
}

interface Shop {
  readonly object: KubeObject;
  readonly ref: ObjectRef;
  readonly isDeleted: boolean;
  readonly shelves: readonly string[];
}

interface Observed {
  readonly shop: Shop;
  readonly owned: readonly KubeObject[];
}

const GROUP = 'example.org';
export const SHOP = {apiVersion: `${GROUP}/v1`, kind: 'Shop'};
export const shopPath = (name = '', namespace = 'default'): string =>
  `/apis/${GROUP}/v1/namespaces/${namespace}/shops${name === '' ? '' : `/${name}`}`;

export const installShops = (client: ApiClient): Promise<void> => installKind(client, GROUP);

/** Installs the CRD of a kind Shop in `group` and waits until it is served. */
export const installKind = async (client: ApiClient, group: string): Promise<void> => {
  const anything = {type: 'object', 'x-kubernetes-preserve-unknown-fields': true};
  await client.send({
    method: 'POST',
    path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    body: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {name: `shops.${group}`},
      spec: {
        group,
        scope: 'Namespaced',
        names: {kind: 'Shop', plural: 'shops'},
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            subresources: {status: {}},
            schema: {openAPIV3Schema: {type: 'object', properties: {spec: anything, status: anything}}},
          },
        ],
      },
    },
    signal: forever,
  });
  for (;;) {
    try {
      await client.send({method: 'GET', path: `/apis/${group}/v1/shops`, signal: AbortSignal.timeout(20_000)});
      return;
    } catch (error) {
      if (!String(error).includes('404')) throw error;
    }
  }
};

export type ShopEngineOptions = EngineOptions<Shop, Observed, ShopStatus>;

export const shopController = (): Controller<Shop, Observed, ShopStatus> => ({
  resource: SHOP,
  finalizer: 'example.org/cleanup',
  watches: [
    {apiVersion: 'v1', kind: 'ConfigMap', labelSelector: `app.kubernetes.io/managed-by=${identity.manager}`},
    {apiVersion: 'apps/v1', kind: 'Deployment', labelSelector: `app.kubernetes.io/managed-by=${identity.manager}`},
    {apiVersion: 'missing.example.org/v1', kind: 'Widget', optional: true},
  ],
  decode: (object) => {
    // The CRD lets any spec through; tests write this one.
    const spec = object['spec'] as {readonly shelves?: readonly string[]} | undefined;
    return {
      object,
      ref: refOf(object),
      isDeleted: object.metadata.deletionTimestamp !== undefined,
      shelves: spec?.shelves ?? [],
    };
  },
  observe: async (shop, cluster, signal) => ({shop, owned: await cluster.listOwned(shop.object, signal)}),
  plan: ({shop, owned}) => {
    const shelves = shop.isDeleted ? [] : shop.shelves;
    const names = shelves.map((shelf) => `${shop.ref.name}-${shelf}`);
    const surplus = owned.filter(({kind, metadata}) => kind === 'ConfigMap' && !names.includes(metadata.name));
    return {
      finalizer: shop.isDeleted && surplus.length === 0 ? 'release' : 'keep',
      components: [
        {
          name: 'shelves',
          desired: names.map((name) => shelf(name, shop.ref.namespace)),
          prune: surplus.map((object) => ({ref: refOf(object)})),
        },
        {name: 'till', desired: shop.isDeleted ? [] : [till(`${shop.ref.name}-till`, shop.ref.namespace)]},
      ],
      conclude: (outcome) => {
        const results = [...outcome.values()].flat();
        const repaired = results.filter((result) => 'repaired' in result && result.repaired);
        return {
          status: {shelves: shelves.length, problems: results.flatMap(problemOf)},
          events: repaired.map(({key}) => ({type: 'Normal', reason: 'Repaired', note: `${key.kind} ${key.name}`})),
          next: {kind: 'on-change'},
        };
      },
    };
  },
});

const problemOf = (result: ObjectOutcome): readonly string[] => ('message' in result ? [result.message] : []);

const shelf = (name: string, namespace = ''): Desired => ({
  manifest: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name, namespace}, data: {on: name}},
});

const till = (name: string, namespace = ''): Desired => ({
  manifest: {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {name, namespace},
    spec: {
      selector: {matchLabels: {app: name}},
      template: {metadata: {labels: {app: name}}, spec: {containers: [{name: 'till', image: 'till:1'}]}},
    },
  },
  replicas: 2,
});
