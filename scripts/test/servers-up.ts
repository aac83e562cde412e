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

/** Removes what a run that has ended left. @throws when another run uses the servers, which would end in the middle. */
async function removeLeftovers(kubectl: readonly string[]): Promise<void> {
  const json = await runPrinted([
    ...kubectl,
    'get',
    'namespace',
    SERVERS_NAMESPACE,
    '--ignore-not-found',
    '-o',
    'json',
  ]);
  if (json === '') return;
  const {metadata} = JSON.parse(json) as {
    readonly metadata: {readonly uid: string; readonly annotations?: Readonly<Record<string, string>>};
  };
  const holder = Number(metadata.annotations?.[HOLDER]);
  if (holder > 0 && isAlive(holder))
    throw new Error(`process ${holder} uses the test servers of the local cluster: wait until it has ended`);
  // This one, not one that another run makes meanwhile.
  const options = {kind: 'DeleteOptions', apiVersion: 'v1', preconditions: {uid: metadata.uid}};
  const path = `/api/v1/namespaces/${SERVERS_NAMESPACE}`;
  await runPrinted([...kubectl, 'delete', '--raw', path, '-f', '-'], JSON.stringify(options));
  await runPrinted([...kubectl, 'wait', '--for=delete', `namespace/${SERVERS_NAMESPACE}`, '--timeout=120s']);
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
  await removeLeftovers(kubectl);
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
