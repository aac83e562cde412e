import {createHash} from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {ensureGo} from '../cluster/go-toolchain.ts';
import {cacheFolder} from '../terminal/cache-folder.ts';
import {runCommand, succeeds} from '../terminal/command.ts';
import {withLock} from '../terminal/lock.ts';
import {writeSingleLayerArchive, type ImageConfig} from './archive.ts';
import {DATA_ROOT, mmdebstrapCommand, NODE_ROOT, type DebianRoot} from './debian-root.ts';
import {tarEnd, tarHeader, tarPadding} from './tar.ts';
import type {Log} from '../terminal/log.ts';

/** An image and the docker-archive on this machine that holds it. */
export interface ImageArchive {
  readonly image: string;
  readonly archive: string;
}

export interface BuildContext {
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
}

/** An image that is made from Debian packages or from Go, and not from this project's own code. */
export interface BaseImage extends ImageArchive {
  readonly name: string;
  /** Writes the image's only layer, as a tar archive, into `folder` and returns its path. */
  readonly buildLayer: (folder: string, context: BuildContext) => Promise<string>;
  readonly config: ImageConfig;
}

const BIN = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The servers of an embedded region. */
export const DATA_IMAGE: BaseImage = describe({
  name: DATA_ROOT.name,
  recipe: [DATA_ROOT],
  config: {
    // RabbitMQ's own programs before Debian's wrappers, which log into files and refuse users other than their own.
    env: [`PATH=/usr/lib/postgresql/17/bin:/usr/lib/rabbitmq/bin:${BIN}`, 'LANG=C.UTF-8'],
    cmd: ['bash'],
  },
  buildLayer: (folder, context) => debianTree(DATA_ROOT, folder, context),
});

/** What the services' and the operator's images are built on: stands in for the official Node.js image. */
export const NODE_IMAGE: BaseImage = describe({
  name: NODE_ROOT.name,
  recipe: [NODE_ROOT, process.version],
  config: {env: [`PATH=${BIN}`], cmd: ['node']},
  buildLayer: nodeTree,
});

/** The sandbox of every pod; containerd is told this name. */
export const PAUSE_IMAGE: BaseImage = describe({
  name: 'pause',
  image: 'registry.k8s.io/pause:3.10',
  recipe: ['main.go', 'go.mod'].map((file) => readFileSync(join(import.meta.dirname, 'pause', file), 'utf8')),
  config: {entrypoint: ['/pause']},
  buildLayer: pauseTree,
});

export const BASE_IMAGES: readonly BaseImage[] = [DATA_IMAGE, NODE_IMAGE, PAUSE_IMAGE];

/** Makes one archive unless the cache has it. Needs root; the data and Node.js images need mmdebstrap, the pause image Go. */
export async function ensureBaseImage(base: BaseImage, context: BuildContext): Promise<ImageArchive> {
  const {image, archive} = base;
  if (existsSync(archive)) {
    // Said to be in use, for those who remove what is not.
    utimesSync(archive, new Date(), new Date());
    return {image, archive};
  }
  return withLock(`${archive}.lock`, context, async () => {
    if (existsSync(archive)) return {image, archive};
    const folder = `${archive}.partial`;
    rmSync(folder, {recursive: true, force: true});
    mkdirSync(folder, {recursive: true});
    try {
      const layer = await base.buildLayer(folder, context);
      context.log(`writing ${archive}`);
      const partial = join(folder, 'archive.tar');
      await writeSingleLayerArchive(image, base.config, layer, partial);
      renameSync(partial, archive);
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
    return {image, archive};
  });
}

/** Where the archives are. */
export function imagesFolder(): string {
  return join(cacheFolder(), 'images');
}

function describe(base: {
  name: string;
  image?: string;
  recipe: readonly unknown[];
  config: ImageConfig;
  buildLayer: BaseImage['buildLayer'];
}): BaseImage {
  const {name, config, buildLayer} = base;
  const hash = createHash('sha256')
    .update(JSON.stringify([base.recipe, config, process.arch]))
    .digest('hex')
    .slice(0, 12);
  const image = base.image ?? `localhost/${name}:${hash}`;
  return {name, image, archive: join(imagesFolder(), `${name}-${hash}.tar`), config, buildLayer};
}

async function debianTree(root: DebianRoot, folder: string, context: BuildContext): Promise<string> {
  const tar = join(folder, 'root.tar');
  // Everything that dpkg prints is worth keeping, and it asks no questions.
  await runCommand(mmdebstrapCommand(root, tar, process.env.PISYNC_DEBIAN_MIRROR), {
    ...context,
    env: {DEBIAN_FRONTEND: 'noninteractive'},
  });
  return tar;
}

async function nodeTree(folder: string, context: BuildContext): Promise<string> {
  // The Node.js that runs this is the pinned one; stripped of its symbols it is 18 MB smaller.
  const node = join(folder, 'node');
  copyFileSync(process.execPath, node);
  if (await succeeds(['strip', '--version'])) await runCommand(['strip', '--strip-all', node], context);
  chmodSync(node, 0o755);
  const extract = [...(NODE_ROOT.hooks.extract ?? []), `cp "${node}" "$1/usr/local/bin/node"`];
  return debianTree({...NODE_ROOT, hooks: {...NODE_ROOT.hooks, extract}}, folder, context);
}

async function pauseTree(folder: string, context: BuildContext): Promise<string> {
  const {go, env} = await ensureGo(cacheFolder(), context);
  const binary = join(folder, 'pause');
  await runCommand([go, 'build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w', '-o', binary, '.'], {
    ...context,
    cwd: join(import.meta.dirname, 'pause'),
    env: {...env, GOCACHE: join(folder, 'go-build')},
  });
  const content = readFileSync(binary);
  const tar = join(folder, 'root.tar');
  writeFileSync(
    tar,
    Buffer.concat([tarHeader('pause', content.length, 0o755), content, tarPadding(content.length), tarEnd()]),
  );
  return tar;
}
