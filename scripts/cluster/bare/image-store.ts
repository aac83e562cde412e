import {createHash} from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import {copyFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {pipeline} from 'node:stream/promises';
import {superseded} from '../../images/prune.ts';
import {runCommand, succeeds} from '../../terminal/command.ts';
import type {StepContext} from '../../terminal/steps.ts';
import type {ImageArchive} from '../cluster.ts';
import {dataFolder, files} from './layout.ts';

/** containerd's databases, which it writes to; all other files of a store are written once. */
const DATABASES = ['io.containerd.metadata.v1.bolt/meta.db', 'io.containerd.snapshotter.v1.overlayfs/metadata.db'];

/** Begin of the name of a store that is not complete yet. */
const BUILDING = 'containerd-building-';

const IMPORT = join(dirname(fileURLToPath(import.meta.url)), 'image-store-init.sh');

/**
 * Makes, once for the same archives, a containerd store in which they are unpacked, and returns its folder in `cache`. The nodes
 * start from links to it, so that three nodes take the time and the disk of one.
 */
export async function ensureImageStore(
  cache: string,
  archives: readonly ImageArchive[],
  context: StepContext,
): Promise<string> {
  const hash = createHash('sha256');
  for (const {image, archive} of archives) {
    hash.update(`${image}\n`);
    await pipeline(createReadStream(archive), hash, {end: false});
  }
  const store = join(cache, `containerd-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(store)) {
    utimesSync(store, new Date(), new Date());
    return store;
  }
  mkdirSync(cache, {recursive: true});
  removeInterrupted(cache);
  const building = mkdtempSync(join(cache, BUILDING));
  try {
    context.log(`unpacking ${archives.map(({image}) => image).join(', ')}`);
    await runCommand(
      [
        'unshare',
        '--mount',
        '--propagation',
        'private',
        '--pid',
        '--fork',
        '--kill-child=KILL',
        '--mount-proc',
        'bash',
        IMPORT,
        building,
        files.containerdConfig,
        ...archives.map(({archive}) => archive),
      ],
      context,
    );
    for (const folder of ['tmpmounts', 'io.containerd.grpc.v1.cri'])
      rmSync(join(building, folder), {recursive: true, force: true});
    renameSync(building, store);
    utimesSync(store, new Date(), new Date());
  } finally {
    rmSync(building, {recursive: true, force: true});
  }
  removeOld(cache, context);
  return store;
}

/** What a start that was killed has left. Only one cluster is started on a machine at a time, so nobody works on these. */
function removeInterrupted(cache: string): void {
  for (const name of readdirSync(cache))
    if (name.startsWith(BUILDING)) rmSync(join(cache, name), {recursive: true, force: true});
}

/** Stores of earlier archives, but the newest few. Nodes that were started from one of them have links of their own to its files. */
function removeOld(cache: string, {log}: StepContext): void {
  const stores = readdirSync(cache).map((name) => ({name, usedMs: statSync(join(cache, name)).mtimeMs}));
  for (const {name} of superseded(stores)) {
    log(`removing ${join(cache, name)}, which was not used for long`);
    rmSync(join(cache, name), {recursive: true, force: true});
  }
}

/** Gives a node its own store: links to the template's files, real copies of the databases. */
export async function cloneImageStore(store: string, node: string, context: StepContext): Promise<void> {
  const target = join(dataFolder(node), 'containerd');
  rmSync(target, {recursive: true, force: true});
  mkdirSync(dirname(target), {recursive: true});
  if (!(await succeeds(['cp', '-al', store, target], 60_000))) {
    // Links do not reach another file system.
    rmSync(target, {recursive: true, force: true});
    await runCommand(['cp', '-a', store, target], context);
    return;
  }
  for (const database of DATABASES) {
    rmSync(join(target, database));
    await copyFile(join(store, database), join(target, database));
  }
}
