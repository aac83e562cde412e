import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {runCommand, succeeds} from '../terminal/command.ts';
import {ensureBaseImage, NODE_IMAGE, type BuildContext} from './base-images.ts';

/** Turns a Dockerfile and its context into a docker-archive. */
export interface Builder {
  readonly kind: 'docker' | 'buildah';
  /** Name of the image that the Dockerfiles start from. */
  readonly baseImage: string;
  readonly build: (job: BuildJob, context: BuildContext) => Promise<void>;
}

interface BuildJob {
  readonly image: string;
  readonly dockerfile: string;
  readonly folder: string;
  readonly archive: string;
}

export const dockerAnswers = (): Promise<boolean> => succeeds(['docker', 'info'], 10_000);

/** Docker builds on the official Node.js image, which it pulls when it is not there. */
export const dockerBuilder: Builder = {
  kind: 'docker',
  baseImage: 'docker.io/library/node:24-trixie-slim',
  async build({image, dockerfile, folder, archive}, context) {
    await runCommand(['docker', 'build', '--tag', image, '--file', dockerfile, folder], context);
    await runCommand(['docker', 'save', '--output', archive, image], context);
  },
};

/**
 * buildah builds on our own base, without a registry and without a daemon. Its storage lives as long as the build: what is worth keeping
 * is the archive, and nothing is left that could be mounted or half-written.
 */
export const buildahBuilder: Builder = {
  kind: 'buildah',
  baseImage: NODE_IMAGE.image,
  async build({image, dockerfile, folder, archive}, context) {
    const base = await ensureBaseImage(NODE_IMAGE, context);
    const storage = mkdtempSync(join(tmpdir(), 'pisync-buildah-'));
    const buildah = async (...args: string[]): Promise<void> => {
      // vfs copies instead of mounting: it works on every file system and leaves no mount behind.
      const where = ['--root', join(storage, 'root'), '--runroot', join(storage, 'run'), '--storage-driver', 'vfs'];
      await runCommand(['buildah', ...where, ...args], context);
    };
    try {
      await buildah('pull', `docker-archive:${base.archive}`);
      await buildah(
        ...['bud', '--pull-never', '--isolation', 'chroot', '--build-arg', `BASE_IMAGE=${base.image}`],
        ...['--tag', image, '--file', dockerfile, folder],
      );
      await buildah('push', image, `docker-archive:${archive}:${image}`);
    } finally {
      rmSync(storage, {recursive: true, force: true});
    }
  },
};
