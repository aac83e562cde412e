import {chmodSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {runCommand} from '../../terminal/command.ts';
import type {StepContext} from '../../terminal/steps.ts';
import type {CgroupTree} from './cgroup-tree.ts';
import {controlPlaneComponents, nodeComponents, nodeMounts, NODE_FOLDERS, type Programs} from './components.ts';
import {cniConfig, configFiles, kubeconfig} from './configs.ts';
import {CONTROL_PLANE, dataFolder, files, folders, namespacePath, type Node} from './layout.ts';
import {describeMachine} from './machines.ts';

const USERS = ['admin', 'controller-manager', 'scheduler', 'proxy'] as const;

/** Writes all configuration, and what each machine mounts and runs. Needs the certificates. */
export async function writeConfiguration(
  nodes: readonly Node[],
  programs: Programs,
  tree: CgroupTree,
  context: StepContext,
): Promise<void> {
  for (const [name, text] of Object.entries(configFiles(nodes, programs.helperImage)))
    writeFileSync(join(folders.conf, name), text);
  const pem = (name: string): Buffer => readFileSync(join(folders.pki, name));
  for (const user of [...USERS, ...nodes.map(({name}) => name)])
    writeFileSync(
      join(folders.conf, `${user}.conf`),
      kubeconfig({ca: pem('ca.crt'), certificate: pem(`${user}.crt`), key: pem(`${user}.key`)}),
      {mode: 0o600},
    );
  await runCommand(
    [
      join(programs.binDir, 'contour'),
      'bootstrap',
      join(folders.conf, 'envoy.json'),
      '--xds-address=127.0.0.1',
      '--xds-port=8001',
      '--dns-lookup-family=v4',
      `--admin-address=${join(folders.sockets, 'envoy-admin')}`,
    ],
    context,
  );
  writeFileSync(files.enter, enterScript(programs.binDir));
  chmodSync(files.enter, 0o755);

  mkdirSync(dataFolder(CONTROL_PLANE), {recursive: true, mode: 0o700});
  describeMachine({name: CONTROL_PLANE, mounts: [], components: controlPlaneComponents(programs)});
  for (const node of nodes) {
    for (const folder of Object.keys(NODE_FOLDERS)) mkdirSync(join(dataFolder(node.name), folder), {recursive: true});
    writeFileSync(join(dataFolder(node.name), 'cni-config', '10-pods.conflist'), cniConfig(node));
    describeMachine({
      name: node.name,
      mounts: nodeMounts(node, tree.mounts),
      components: nodeComponents(node, programs),
    });
  }
}

export function makeFolders(): void {
  for (const folder of Object.values(folders)) mkdirSync(folder, {recursive: true});
}

/** Runs a command in the cluster's network. A script, so that it starts in a millisecond and keeps the caller's own PATH. */
const enterScript = (binDir: string): string => `#!/bin/sh
exec nsenter --net=${namespacePath(CONTROL_PLANE)} env KUBECONFIG=${files.kubeconfig} "PATH=${binDir}:$PATH" "$@"
`;
