import {join} from 'node:path';
import {runCommand} from '../terminal/command.ts';
import {runAttached} from './attached.ts';
import type {Cluster} from './cluster.ts';
import {removeClusterFile, writeClusterFile} from './cluster-file.ts';
import {Refusal} from './refusal.ts';
import type {Settings} from './settings.ts';
import {parseNodeNames, parseServerVersion} from './kubectl-output.ts';

/**
 * A cluster that exists already, named by PISYNC_KUBECONFIG. `up` only writes down how to reach it; nothing in it is changed.
 * Its ingress cannot be known from here: PISYNC_INGRESS_PORT of 127.0.0.1 is taken as the way in.
 */
export function externalCluster(
  settings: Settings,
  kubeconfig: string,
  env: NodeJS.ProcessEnv,
  say: (text: string) => void,
): Cluster {
  const withConfig = {...env, KUBECONFIG: kubeconfig};
  const kubectl = (...args: string[]): Promise<string> =>
    runCommand(['kubectl', '--request-timeout=15s', ...args], {log: () => undefined, env: {KUBECONFIG: kubeconfig}});
  const untouched = (what: string): never => {
    throw new Refusal(`${what} is up to the owner of the cluster in ${kubeconfig}: this program does not change it.`);
  };
  const address = {
    http: `http://127.0.0.1:${settings.ingressPort}`,
    https: `https://127.0.0.1:${settings.ingressTlsPort}`,
  };
  return {
    async up() {
      const [version, nodes] = await Promise.all([
        kubectl('version', '--output=json'),
        kubectl('get', 'nodes', '--output=name'),
      ]);
      const serverVersion = parseServerVersion(version);
      writeClusterFile(settings.out, {
        kind: 'external',
        kubeconfig,
        serverVersion,
        ingress: address,
        forward: address,
        exec: ['env', `KUBECONFIG=${kubeconfig}`],
        nodes: parseNodeNames(nodes),
      });
      say(`Using the cluster of ${kubeconfig} (${serverVersion}); written to ${join(settings.out, 'cluster.json')}`);
      return 0;
    },
    down() {
      removeClusterFile(settings.out);
      say(`Leaving the cluster of ${kubeconfig} as it is`);
      return Promise.resolve(0);
    },
    status: () => runAttached(['kubectl', 'get', 'nodes', '--output=wide'], withConfig),
    logs: () => untouched('Where the logs are'),
    exec: (argv) => runAttached(argv, withConfig),
    loadImages: (images) => {
      const list = images.map(({image, archive}) => `  ${image}  from ${archive}`).join('\n');
      say(
        `The nodes of this cluster must have these images; bring them there in its own way, for example \`minikube image load ARCHIVE\`, \`k3d image import ARCHIVE\` or \`ctr --namespace k8s.io images import ARCHIVE\`:\n${list}`,
      );
      return Promise.resolve(0);
    },
    trouble: () => untouched('The power of its nodes'),
  };
}
