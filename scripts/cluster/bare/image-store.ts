import {createHash} from 'node:crypto';
import {createReadStream, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync} from 'node:fs';
import {copyFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {pipeline} from 'node:stream/promises';
import {runCommand, succeeds} from '../../terminal/command.ts';
import type {StepContext} from '../../terminal/steps.ts';
import type {ImageArchive} from '../cluster.ts';
import {dataFolder, files} from './layout.ts';

/** containerd's databases, which it writes to; all other files of a store are written once. */
const DATABASES = ['io.containerd.metadata.v1.bolt/meta.db', 'io.containerd.snapshotter.v1.overlayfs/metadata.db'];

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
  if (existsSync(store)) return store;
  mkdirSync(cache, {recursive: true});
  const building = mkdtempSync(join(cache, 'containerd-building-'));
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
  } finally {
    rmSync(building, {recursive: true, force: true});
  }
  return store;
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
