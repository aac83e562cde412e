import {cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, utimesSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {withLock} from '../terminal/lock.ts';
import {imagesFolder, type BuildContext, type ImageArchive} from './base-images.ts';
import type {Builder} from './builder.ts';
import {bundle, ROOT, type Application} from './bundle.ts';
import {contentHash} from './content-hash.ts';
import {ensureDashboard} from './dashboard.ts';

/**
 * Bundles an application and builds its image unless the cache has an image of exactly this content. The tag is a hash of what goes in (bundle,
 * dashboard, Dockerfile, base image), so an unchanged checkout names the same image on every machine.
 */
export async function ensureAppImage(
  application: Application,
  builder: Builder,
  context: BuildContext,
): Promise<ImageArchive> {
  const cache = imagesFolder();
  const folder = mkdtempSync(join(tmpdir(), `${application.name}-context-`));
  try {
    const app = join(folder, 'app');
    await bundle(application, app);
    if (application.hasDashboard)
      cpSync(await ensureDashboard(ROOT, cache, context), join(app, 'public'), {recursive: true});
    const dockerfile = join(ROOT, application.dockerfile);
    const hash = contentHash(folder, [readFileSync(dockerfile, 'utf8'), builder.baseImage, process.arch]);
    const image = `localhost/${application.name}:${hash}`;
    const archive = join(cache, `${application.name}-${hash}.tar`);
    if (existsSync(archive)) {
      context.log(`${image} is there`);
      utimesSync(archive, new Date(), new Date());
      return {image, archive};
    }
    mkdirSync(cache, {recursive: true});
    await withLock(`${archive}.lock`, context, async () => {
      // Somebody else may have made it meanwhile.
      if (existsSync(archive)) return;
      const partial = `${archive}.partial`;
      rmSync(partial, {force: true});
      await builder.build({image, dockerfile, folder, archive: partial}, context);
      renameSync(partial, archive);
    });
    return {image, archive};
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}
