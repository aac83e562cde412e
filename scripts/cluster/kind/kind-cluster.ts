/**
 * The local cluster as kind nodes in Docker. Contour, Envoy and metrics-server come as their projects' own manifests, at the
 * versions named here. Written where no Docker engine was available and not run by us yet: .github/workflows/kind.yml is what would.
 */
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {stringify} from 'yaml';
import {runCommand, succeeds} from '../../terminal/command.ts';
import {runSteps, type StepContext} from '../../terminal/steps.ts';
import {AUDIT_POLICY} from '../addons/audit-policy.ts';
import {asList, INGRESS_NAMESPACE, ingressObjects} from '../addons/objects.ts';
import {runAttached} from '../attached.ts';
import type {Cluster} from '../cluster.ts';
import {removeClusterFile, writeClusterFile} from '../cluster-file.ts';
import {parseNodeNames, parseServerVersion} from '../kubectl-output.ts';
import {Refusal} from '../refusal.ts';
import type {Settings} from '../settings.ts';
import {KIND_NAME, kindConfig} from './config.ts';

const CONTOUR = 'https://raw.githubusercontent.com/projectcontour/contour/v1.33.8/examples';
const METRICS_SERVER = 'https://github.com/kubernetes-sigs/metrics-server/releases/download/v0.8.0/components.yaml';

export function kindCluster(settings: Settings, env: NodeJS.ProcessEnv, say: (text: string) => void): Cluster {
  const folder = join(settings.out, 'kind');
  const kubeconfig = join(folder, 'kubeconfig');
  const withConfig = {...env, KUBECONFIG: kubeconfig};
  const quiet: StepContext = {log: () => undefined, signal: new AbortController().signal};
  const kind = (context: StepContext, ...args: string[]): Promise<string> => runCommand(['kind', ...args], context);
  const kubectl = (context: StepContext, args: readonly string[], input = ''): Promise<string> =>
    runCommand(['kubectl', ...args], {...context, env: {KUBECONFIG: kubeconfig}, input});
  const exists = async (): Promise<boolean> => (await kind(quiet, 'get', 'clusters')).split('\n').includes(KIND_NAME);
  const isOurs = (): Promise<boolean> => succeeds(['kubectl', '--kubeconfig', kubeconfig, 'get', '--raw', '/readyz']);

  const requirePrograms = async (): Promise<void> => {
    const missing = [];
    for (const program of ['kind', 'kubectl', 'helm', 'openssl'])
      if (
        !(await succeeds([
          program,
          program === 'kubectl' ? 'config' : 'version',
          ...(program === 'kubectl' ? ['view'] : []),
        ]))
      )
        missing.push(program);
    if (missing.length > 0)
      throw new Refusal(
        `A cluster in Docker needs ${missing.join(', ')} on the PATH (https://kind.sigs.k8s.io). Or use PISYNC_CLUSTER=bare as root.`,
      );
  };

  const create = async (context: StepContext): Promise<void> => {
    const folders = {auditPolicy: join(folder, 'audit-policy'), auditLogs: join(folder, 'audit')};
    for (const path of Object.values(folders)) mkdirSync(path, {recursive: true});
    writeFileSync(join(folders.auditPolicy, 'policy.yaml'), stringify(AUDIT_POLICY));
    writeFileSync(join(folder, 'config.yaml'), kindConfig(settings, folders));
    await kind(
      context,
      'create',
      'cluster',
      '--config',
      join(folder, 'config.yaml'),
      '--kubeconfig',
      kubeconfig,
      '--wait',
      '180s',
    );
  };

  const installMetrics = async (context: StepContext): Promise<void> => {
    await kubectl(context, ['apply', '--server-side', '--filename', METRICS_SERVER]);
    // kind's kubelets have certificates that nobody signed.
    const flag = [{op: 'add', path: '/spec/template/spec/containers/0/args/-', value: '--kubelet-insecure-tls'}];
    await kubectl(context, [
      '--namespace=kube-system',
      'patch',
      'deployment/metrics-server',
      '--type=json',
      `--patch=${JSON.stringify(flag)}`,
    ]);
    await kubectl(context, [
      '--namespace=kube-system',
      'rollout',
      'status',
      'deployment/metrics-server',
      '--timeout=180s',
    ]);
  };

  const installIngress = async (context: StepContext): Promise<void> => {
    await kubectl(context, [
      'apply',
      '--server-side',
      '--force-conflicts',
      '--filename',
      `${CONTOUR}/gateway/00-crds.yaml`,
    ]);
    await kubectl(context, [
      'apply',
      '--server-side',
      '--force-conflicts',
      '--filename',
      `${CONTOUR}/render/contour.yaml`,
    ]);
    const key = join(folder, 'ingress.key');
    const certificate = join(folder, 'ingress.crt');
    await runCommand(
      [
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '365',
        '-subj',
        '/CN=*.localhost',
        '-keyout',
        key,
        '-out',
        certificate,
      ],
      context,
    );
    const config = {gateway: {gatewayRef: {namespace: INGRESS_NAMESPACE, name: 'pisync'}}};
    const objects = [
      ...ingressObjects({certificate: readFileSync(certificate), key: readFileSync(key)}),
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: {name: 'contour', namespace: INGRESS_NAMESPACE},
        data: {'contour.yaml': stringify(config)},
      },
    ];
    await kubectl(context, ['apply', '--server-side', '--force-conflicts', '--filename=-'], asList(objects));
    await kubectl(context, [`--namespace=${INGRESS_NAMESPACE}`, 'rollout', 'restart', 'deployment/contour']);
    await kubectl(context, [
      `--namespace=${INGRESS_NAMESPACE}`,
      'rollout',
      'status',
      'deployment/contour',
      '--timeout=180s',
    ]);
    await kubectl(context, [
      `--namespace=${INGRESS_NAMESPACE}`,
      'rollout',
      'status',
      'daemonset/envoy',
      '--timeout=180s',
    ]);
  };

  const start = (): Promise<number> =>
    runSteps(
      [
        {name: 'kind cluster', run: create},
        {name: 'metrics', needs: ['kind cluster'], run: installMetrics},
        {name: 'ingress', needs: ['kind cluster'], run: installIngress},
      ],
      {logFolder: join(settings.out, 'logs', 'up')},
    );

  return {
    async up() {
      await requirePrograms();
      if (await exists()) {
        if (!(await isOurs()))
          throw new Refusal(
            `There is a kind cluster ${KIND_NAME} that this checkout cannot reach: it belongs to another checkout (use that one, or \`make down\` there), or it died (\`kind delete cluster --name ${KIND_NAME}\`).`,
          );
        say('Already up.');
      } else {
        const code = await start();
        if (code !== 0) return code;
      }
      const address = {
        http: `http://127.0.0.1:${settings.ingressPort}`,
        https: `https://127.0.0.1:${settings.ingressTlsPort}`,
      };
      writeClusterFile(settings.out, {
        kind: 'kind',
        kubeconfig,
        serverVersion: parseServerVersion(await kubectl(quiet, ['version', '--output=json'])),
        ingress: address,
        forward: address,
        exec: [],
        nodes: parseNodeNames(await kubectl(quiet, ['get', 'nodes', '--output=name'])),
        auditLog: join(folder, 'audit', 'audit.log'),
      });
      return 0;
    },
    async down() {
      await requirePrograms();
      if ((await exists()) && !(await isOurs()))
        throw new Refusal(
          `The kind cluster ${KIND_NAME} does not belong to this checkout. \`kind delete cluster --name ${KIND_NAME}\` ends it all the same.`,
        );
      await kind(quiet, 'delete', 'cluster', '--name', KIND_NAME, '--kubeconfig', kubeconfig);
      rmSync(folder, {recursive: true, force: true});
      removeClusterFile(settings.out);
      return 0;
    },
    status: () => runAttached(['kubectl', 'get', 'nodes', '--output=wide'], withConfig),
    logs: (component) =>
      component === undefined
        ? runAttached(['kubectl', '--namespace=kube-system', 'get', 'pods'], withConfig)
        : runAttached(
            [
              'kubectl',
              '--namespace=kube-system',
              'logs',
              '--tail=100',
              '--prefix',
              `--selector=component=${component}`,
            ],
            withConfig,
          ),
    exec: (argv) => runAttached(argv, withConfig),
    loadImages: (images) =>
      runSteps(
        images.map(({image, archive}) => ({
          name: image,
          run: async (context: StepContext): Promise<void> => {
            await kind(context, 'load', 'image-archive', archive, '--name', KIND_NAME);
          },
        })),
        {logFolder: join(settings.out, 'logs', 'load-images')},
      ),
    trouble: (what, node) => {
      const docker: Record<typeof what, readonly [string, ...string[]]> = {
        'power-off': ['docker', 'kill', node],
        'power-on': ['docker', 'start', node],
        partition: ['docker', 'network', 'disconnect', '--force', 'kind', node],
        heal: ['docker', 'network', 'connect', 'kind', node],
      };
      return runAttached(docker[what], env);
    },
  };
}
