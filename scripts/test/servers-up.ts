import {readOut, runPrinted} from './programs.ts';
import {type Durability, HOLDER, serverAddresses, serverManifests, SERVERS_NAMESPACE} from './servers.ts';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
};

/** @throws when another run uses the servers, which would end in the middle. */
async function refuseOthers(kubectl: readonly string[]): Promise<void> {
  const path = `jsonpath={.metadata.annotations.${HOLDER.replaceAll('.', String.raw`\.`)}}`;
  const holder = Number(
    await runPrinted([...kubectl, 'get', 'namespace', SERVERS_NAMESPACE, '--ignore-not-found', '-o', path]),
  );
  if (holder > 0 && holder !== process.pid && isAlive(holder))
    throw new Error(`process ${holder} uses the test servers of the local cluster: wait until it has ended`);
}

/**
 * Starts the three servers in the local cluster, runs `action` with the environment that leads to them, and removes them.
 * @param exec argv prefix of a command that runs where the cluster's network is, as out/cluster.json says
 * @throws also when another run uses them.
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
  await refuseOthers(kubectl);
  // Those of a run from a moment ago are still going, and would go in the middle of this one.
  await runPrinted([...kubectl, 'delete', 'namespace', SERVERS_NAMESPACE, '--ignore-not-found', '--timeout=120s']);
  // Fails where another run was quicker.
  await runPrinted([...kubectl, 'create', '-f', '-'], serverManifests(images, durability, process.pid));
  try {
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
