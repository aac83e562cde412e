import {takeMemory} from '../kit/broker.ts';
import {pauseWrites} from '../kit/cache.ts';
import {certificateSecret} from '../kit/certificate.ts';
import {shardRows} from '../kit/device.ts';
import {kubectlIn} from '../kit/kubectl.ts';
import {condition, untilReady, type Region} from '../kit/region.ts';
import {until} from '../kit/until.ts';

/** A fault that turns conditions, and its mend. */
export interface Fault {
  readonly what: string;
  /** Conditions that it turns away from True. */
  readonly turns: readonly string[];
  readonly reason: string;
  /** Ready is not lost with them. */
  readonly informative?: true;
  /** From a fault to a status that tells of it, where that takes longer than 30 s. */
  readonly toldMs?: number;
  /**
   * Says before each change what takes it back, as the runbook says, the last one first: that is run whatever happens, also where the change itself failed.
   * Some of these reach the whole cluster.
   */
  readonly begin: (region: Region, mends: AsyncDisposableStack) => Promise<unknown>;
}

const patchSpec = ({kubectl, name}: Region, spec: unknown): Promise<string> =>
  kubectl.ok(['patch', 'psr', name, '--type=merge', '--patch', JSON.stringify({spec})]);

const cluster = kubectlIn('default');

/** The definition as Helm applied it, which stays its owner: nobody else's edit is in the way of the next upgrade. */
interface Definition {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly status?: unknown;
}

const applyDefinition = (definition: object): Promise<string> =>
  cluster.ok(
    ['apply', '--server-side', '--field-manager=helm', '--force-conflicts', '-f', '-'],
    JSON.stringify(definition),
  );

async function definitionOfRegions(): Promise<Definition> {
  // a CustomResourceDefinition has these fields
  const {
    metadata,
    status: _status,
    ...rest
  } = JSON.parse(await cluster.ok(['get', 'crd', 'pisyncregions.pisync.io', '-o', 'json'])) as Definition;
  const {name, labels, annotations} = metadata;
  return {...rest, metadata: {name, labels, annotations}};
}

/** Without the rules that look at more than one field of a part. */
const withoutRules = (definition: Definition, part: string): Definition =>
  JSON.parse(JSON.stringify(definition), (key, value: unknown) =>
    // the schema of a part is an object
    key === part ? {...(value as object), 'x-kubernetes-validations': undefined} : value,
  ) as Definition;

const POLICY = 'no-facts';

export const FAULTS: readonly Fault[] = [
  {
    what: 'a shard waits for a standby that does not exist',
    turns: ['DatabaseReady'],
    reason: 'WriteFailed',
    async begin(region, mends) {
      const set = async (statement: string): Promise<void> => {
        await shardRows(region, 0, statement, 'postgres');
        await shardRows(region, 0, 'select pg_reload_conf()', 'postgres');
      };
      mends.defer(() => set('alter system reset synchronous_standby_names'));
      await set("alter system set synchronous_standby_names = 'nobody'");
    },
  },
  {
    what: 'the broker has no memory',
    turns: ['BrokerReady'],
    reason: 'PublishFailed',
    begin: takeMemory,
  },
  {
    what: 'the cache takes no writes',
    turns: ['CacheReady'],
    reason: 'WriteFailed',
    begin: pauseWrites,
  },
  {
    what: 'the keeper is not let tell what it tried',
    turns: ['DatabaseReady', 'BrokerReady', 'CacheReady'],
    reason: 'KeeperSilent',
    toldMs: 180_000,
    async begin({name}, mends) {
      mends.defer(async () => {
        const kinds = 'validatingadmissionpolicy,validatingadmissionpolicybinding';
        await cluster.ok(['delete', kinds, POLICY, '--ignore-not-found']);
      });
      await cluster.apply(
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'List',
          items: [
            {
              apiVersion: 'admissionregistration.k8s.io/v1',
              kind: 'ValidatingAdmissionPolicy',
              metadata: {name: POLICY},
              spec: {
                failurePolicy: 'Fail',
                matchConstraints: {
                  resourceRules: [
                    {apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['configmaps']},
                  ],
                },
                validations: [{expression: `request.name != '${name}-facts'`, message: 'nobody may tell'}],
              },
            },
            {
              apiVersion: 'admissionregistration.k8s.io/v1',
              kind: 'ValidatingAdmissionPolicyBinding',
              metadata: {name: POLICY},
              spec: {
                policyName: POLICY,
                validationActions: ['Deny'],
                matchResources: {namespaceSelector: {matchLabels: {'kubernetes.io/metadata.name': name}}},
              },
            },
          ],
        }),
      );
    },
  },
  {
    what: 'a quota keeps pods from being replaced, and a migration from running',
    turns: ['KeeperAvailable', 'WorkersAvailable', 'DeviceApiAvailable', 'AdminApiAvailable', 'SchemaMigrated'],
    reason: 'FailedCreate',
    async begin({kubectl, name}, mends) {
      const services = 'app.kubernetes.io/component in (keeper,worker,device-api,admin-api)';
      const jobs = ['jobs', '-l', `app.kubernetes.io/instance=${name}`, '--wait=false'];
      mends.defer(async () => {
        await kubectl.ok(['delete', 'quota', 'none', '--ignore-not-found']);
        // What was refused Kubernetes tries again after minutes, unless it has a reason to.
        await kubectl.ok(['rollout', 'restart', 'deployments', '-l', services]);
        await kubectl.ok(['delete', ...jobs]);
      });
      await kubectl.ok(['create', 'quota', 'none', '--hard=pods=0']);
      await until('the quota to be in force', async () => {
        const quota = await kubectl.get('quota', 'none');
        return quota?.status?.['hard'] === undefined ? undefined : true;
      });
      await kubectl.ok(['delete', 'pods', '-l', services, '--wait=false']);
      await kubectl.ok(['delete', ...jobs]);
    },
  },
  {
    what: 'the certificate of the route is garbage',
    turns: ['RouteReady'],
    reason: 'CertificateUnfit',
    async begin(region, mends) {
      const {kubectl, host, adminHost} = region;
      const certify = (): Promise<void> => certificateSecret(region, 'served', [host, adminHost]);
      await certify();
      await patchSpec(region, {ingress: {tls: {mode: 'Secret', secretName: 'served'}}});
      await untilReady(region);
      const garbage = Buffer.from('garbage').toString('base64');
      mends.defer(certify);
      await kubectl.ok(['patch', 'secret', 'served', '--patch', JSON.stringify({data: {'tls.crt': garbage}})]);
    },
  },
  {
    what: 'nobody serves the figures that autoscalers decide on',
    turns: ['AutoscalingActive'],
    reason: 'FailedGetContainerResourceMetric',
    informative: true,
    async begin(region, mends) {
      await patchSpec(region, {workers: {autoscaling: {enabled: true}}});
      await until(
        'the autoscaler to be active',
        async () => {
          const active = condition(await untilReady(region), 'AutoscalingActive');
          if (active?.reason !== 'Active') throw new Error(JSON.stringify(active));
          return true;
        },
        {timeoutMs: 120_000},
      );
      const serve = async (port: number): Promise<void> => {
        await cluster.ok([
          'patch',
          'apiservice',
          'v1beta1.metrics.k8s.io',
          '--type=merge',
          '--patch',
          JSON.stringify({spec: {service: {name: 'metrics-server', namespace: 'kube-system', port}}}),
        ]);
      };
      mends.defer(() => serve(443));
      await serve(444);
    },
  },
  {
    what: 'the API server knows no rules, and a spec breaks one',
    turns: ['SpecValid'],
    reason: 'InvalidSpec',
    async begin(region, mends) {
      const definition = await definitionOfRegions();
      mends.defer(async () => {
        await applyDefinition(definition);
      });
      await applyDefinition(withoutRules(definition, 'redis'));
      mends.defer(async () => {
        await patchSpec(region, {redis: {maxMemory: '128Mi'}});
      });
      await until('the rules to be gone', () => patchSpec(region, {redis: {maxMemory: '1Gi'}}));
    },
  },
];
