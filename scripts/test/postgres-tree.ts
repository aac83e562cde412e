import {mkdirSync, readFileSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {out, readOut, runPrinted} from './programs.ts';

/**
 * Unpacks the image that shards run from, runs `action` with the environment that names its file tree, and removes it. So PostgreSQL's own programs can be
 * tried beside what they leave behind; none has to be on this machine.
 */
export async function withPostgresTree<T>(action: (env: Readonly<Record<string, string>>) => Promise<T>): Promise<T> {
  // scripts/images writes it.
  const {postgres, archives} = readOut('images.json') as {
    readonly postgres: string;
    readonly archives: readonly {readonly image: string; readonly path: string}[];
  };
  const folder = join(out, 'test', 'postgres');
  const tree = join(folder, 'tree');
  rmSync(folder, {recursive: true, force: true});
  mkdirSync(folder, {recursive: true});
  try {
    const made = archives.find(({image}) => image === postgres)?.path;
    await unpackImage(made ?? (await pulled(postgres, join(folder, 'pulled.tar'))), tree);
    return await action({PISYNC_TEST_POSTGRES_TREE: tree});
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

/** The archive of a maker's image, which is only named where there is a Docker to pull it. */
async function pulled(image: string, archive: string): Promise<string> {
  await runPrinted(['docker', 'pull', '--quiet', image]);
  await runPrinted(['docker', 'save', '--output', archive, image]);
  return archive;
}

/** Writes the file tree of the image in a docker-archive into the folder `tree`, which is made. */
export async function unpackImage(archive: string, tree: string): Promise<void> {
  const parts = `${tree}.parts`;
  mkdirSync(parts, {recursive: true});
  mkdirSync(tree);
  try {
    await runPrinted(['tar', '-xf', archive, '-C', parts]);
    // Docker Image Specification v1.2: one image an entry, its layers from the lowest up.
    const [image] = JSON.parse(readFileSync(join(parts, 'manifest.json'), 'utf8')) as readonly {
      readonly Layers: readonly string[];
    }[];
    if (image === undefined) throw new Error(`${archive} holds no image`);
    for (const layer of image.Layers)
      await runPrinted(['tar', '-xf', join(parts, layer), '--numeric-owner', '-C', tree]);
  } finally {
    rmSync(parts, {recursive: true, force: true});
  }
}
