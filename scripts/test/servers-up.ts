import {readOut, runPrinted} from './programs.ts';
import {type Durability, serverAddresses, serverManifests, SERVERS_NAMESPACE} from './servers.ts';

/**
 * Starts the three servers in the local cluster, runs `action` with the environment that leads to them, and removes them.
 * @param exec argv prefix of a command that runs where the cluster's network is, as out/cluster.json says
 */
export async function withServers<T>(
  exec: readonly string[],
  durability: Durability,
  action: (env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  const kubectl = [...exec, 'kubectl'];
  // scripts/images writes it.
  const images = readOut('images.json') as {
    readonly postgres: string;
    readonly rabbitmq: string;
    readonly redis: string;
  };
  // Those of a run from a moment ago are still going, and would go in the middle of this one.
  await runPrinted([...kubectl, 'delete', 'namespace', SERVERS_NAMESPACE, '--ignore-not-found', '--timeout=120s']);
  try {
    await runPrinted([...kubectl, 'apply', '-f', '-'], serverManifests(images, durability));
    await runPrinted([...kubectl, '-n', SERVERS_NAMESPACE, 'rollout', 'status', 'deployment', '--timeout=120s']);
    const address = await runPrinted([
      ...kubectl,
      'get',
      'nodes',
      '-o',
      'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}',
    ]);
    return await action(serverAddresses(address.trim()));
  } finally {
    await runPrinted([...kubectl, 'delete', 'namespace', SERVERS_NAMESPACE, '--wait=false']);
  }
}
