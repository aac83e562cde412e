import type {Trouble} from './cluster.ts';
import {Refusal} from './refusal.ts';

export type Command =
  | {readonly kind: 'help'}
  | {readonly kind: 'up'}
  | {readonly kind: 'down'; readonly force: boolean}
  | {readonly kind: 'status'}
  | {readonly kind: 'logs'; readonly component: string | undefined}
  | {readonly kind: 'shell'}
  | {readonly kind: 'exec'; readonly argv: readonly [string, ...string[]]}
  | {readonly kind: 'load-images'; readonly file: string | undefined}
  | {readonly kind: 'trouble'; readonly what: Trouble; readonly node: string};

export const USAGE = `The local Kubernetes cluster.

  node scripts/cluster/main.ts SUBCOMMAND

  up                start it, or see that it is up; writes out/cluster.json
  down [--force]    end it and leave nothing behind; --force also ends one whose checkout is gone
  status            how it is, node by node; exit code 1 when it is not up and whole
  logs [COMPONENT]  the end of a component's logs, for example kubelet or n1-kubelet; without one, their names
  shell             a shell in the cluster's network, with kubectl and helm
  exec -- COMMAND   one command there
  load-images [FILE]  bring the images of out/images.json, or of such a file of another checkout, into all nodes
  power-off NODE    end everything on a node at once, as a power cut does
  power-on NODE     start it again
  partition NODE    cut a node's network cable
  heal NODE         mend it

It is kind where a Docker engine answers, else a bare cluster made of this machine's own namespaces, which needs root.

  PISYNC_CLUSTER=kind|bare       choose one of the two
  PISYNC_KUBECONFIG=FILE         use an existing cluster and leave it as it is; load-images then only says what it needs
  PISYNC_NODES=3                 how many nodes, 1 to 9
  PISYNC_INGRESS_PORT=8088       port of 127.0.0.1 that leads to the ingress
  PISYNC_INGRESS_TLS_PORT=8443   the same for HTTPS
  XDG_CACHE_HOME                 binaries and images are kept in its folder pisync

Exit codes: 0 done, 1 failed, 2 something about the request or the machine must change first.`;

/** @throws Refusal for arguments that mean nothing. */
export function parseCommand(argv: readonly string[]): Command {
  const [name, ...rest] = argv;
  const alone = (command: Command): Command => {
    if (rest.length > 0) throw new Refusal(`${String(name)} takes no arguments, got: ${rest.join(' ')}`);
    return command;
  };
  switch (name) {
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      return {kind: 'help'};
    case 'up':
    case 'status':
    case 'shell':
      return alone({kind: name});
    case 'load-images':
      if (rest.length > 1) throw new Refusal(`load-images takes one file, got: ${rest.join(' ')}`);
      return {kind: 'load-images', file: rest[0]};
    case 'down':
      if (rest.length > 1 || (rest.length === 1 && rest[0] !== '--force'))
        throw new Refusal(`down takes only --force, got: ${rest.join(' ')}`);
      return {kind: 'down', force: rest.length === 1};
    case 'logs':
      if (rest.length > 1) throw new Refusal('logs takes one component');
      return {kind: 'logs', component: rest[0]};
    case 'exec': {
      const [program, ...args] = rest[0] === '--' ? rest.slice(1) : rest;
      if (program === undefined) throw new Refusal('exec needs a command: exec -- kubectl get pods');
      return {kind: 'exec', argv: [program, ...args]};
    }
    case 'power-off':
    case 'power-on':
    case 'partition':
    case 'heal': {
      const [node] = rest;
      if (node === undefined || rest.length > 1)
        throw new Refusal(`${name} needs the name of one node, for example: ${name} n1`);
      return {kind: 'trouble', what: name, node};
    }
    default:
      throw new Refusal(`There is no subcommand ${name}.\n\n${USAGE}`);
  }
}
