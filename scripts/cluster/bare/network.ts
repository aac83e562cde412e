import {existsSync} from 'node:fs';
import {runCommand, succeeds} from '../../terminal/command.ts';
import type {StepContext} from '../../terminal/steps.ts';
import {CONTROL_PLANE, insideNetwork, namespaceOf, namespacePath, network, type Node} from './layout.ts';

const linkOf = (node: Node): string => `to-${node.name}`;

/** Lines for `ip -batch`, by machine: a bridge in the control plane's namespace, one veth pair to each node, routes to the pods. */
export function networkPlan(nodes: readonly Node[]): ReadonlyMap<string, readonly string[]> {
  const plan = new Map<string, readonly string[]>();
  plan.set(CONTROL_PLANE, [
    'link set lo up',
    `link add ${network.bridge} type bridge`,
    `address add ${network.controlPlane}/24 dev ${network.bridge}`,
    `link set ${network.bridge} up`,
    // A service's address needs some route before kube-proxy's rules can rewrite it on its way out.
    `route add ${network.services} dev ${network.bridge}`,
    ...nodes.flatMap((node) => [
      `link add ${linkOf(node)} type veth peer name eth0 netns ${namespaceOf(node.name)}`,
      `link set ${linkOf(node)} master ${network.bridge} up`,
      `route add ${node.podSubnet} via ${node.address}`,
    ]),
  ]);
  for (const node of nodes)
    plan.set(node.name, [
      'link set lo up',
      `address add ${node.address}/24 dev eth0`,
      'link set eth0 up',
      `route add default via ${network.controlPlane}`,
      ...nodes.filter((other) => other !== node).map((other) => `route add ${other.podSubnet} via ${other.address}`),
    ]);
  return plan;
}

export async function createNetwork(nodes: readonly Node[], context: StepContext): Promise<void> {
  const plan = networkPlan(nodes);
  for (const machine of plan.keys()) await runCommand(['ip', 'netns', 'add', namespaceOf(machine)], context);
  // Without it, a pod that talks to a service whose pod is on the same bridge gets an answer from an address it did not ask.
  if (!existsSync('/proc/sys/net/bridge')) await runCommand(['modprobe', 'br_netfilter'], context);
  for (const [machine, lines] of plan) {
    await runCommand([...insideNetwork(machine), 'ip', '-batch', '-'], {...context, input: `${lines.join('\n')}\n`});
    await runCommand(
      [
        ...insideNetwork(machine),
        'sysctl',
        '-qw',
        'net.ipv4.ip_forward=1',
        ...(machine === CONTROL_PLANE ? [] : ['net.bridge.bridge-nf-call-iptables=1']),
      ],
      context,
    );
  }
}

/** The links and the bridge go with their namespace. */
export async function removeNamespace(machine: string, context: StepContext): Promise<void> {
  if (existsSync(namespacePath(machine))) await runCommand(['ip', 'netns', 'del', namespaceOf(machine)], context);
}

const PARTITION = 'pisync_partition';

/** Drops everything on the node's cable; what runs on it goes on. Priority -400 is before connection tracking. */
const PARTITION_RULES = `table inet ${PARTITION} {
  chain in { type filter hook input priority -400; iifname "eth0" drop; }
  chain through { type filter hook forward priority -400; iifname "eth0" drop; oifname "eth0" drop; }
  chain out { type filter hook output priority -400; oifname "eth0" drop; }
}
`;

export const isPartitioned = (node: string): Promise<boolean> =>
  succeeds([...insideNetwork(node), 'nft', 'list', 'table', 'inet', PARTITION]);

export async function partition(node: string, context: StepContext): Promise<void> {
  if (await isPartitioned(node)) return;
  await runCommand([...insideNetwork(node), 'nft', '-f', '-'], {...context, input: PARTITION_RULES});
}

export async function heal(node: string, context: StepContext): Promise<void> {
  if (await isPartitioned(node))
    await runCommand([...insideNetwork(node), 'nft', 'delete', 'table', 'inet', PARTITION], context);
}
