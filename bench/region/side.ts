import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {ROOT} from '../../scripts/images/bundle.ts';
import {runCommand} from '../../scripts/terminal/command.ts';

/** A version of PiSync that is measured. */
export interface Side {
  readonly name: 'before' | 'now';
  /** Its commit, with a `+` where the checkout has changes besides. */
  readonly revision: string;
  /** The checkout that its chart is in, and `out/images.json` of its images. */
  readonly checkout: string;
}

export interface SideOptions {
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

const git = async (options: SideOptions, ...args: readonly string[]): Promise<string> =>
  (await runCommand(['git', '-C', ROOT, ...args], options)).trim();

/** This checkout, whose images are built and in the cluster already. */
export const thisSide = async (options: SideOptions): Promise<Side> => {
  const commit = await git(options, 'rev-parse', '--short=10', 'HEAD');
  const isChanged = (await git(options, 'status', '--porcelain')) !== '';
  return {name: 'now', revision: `${commit}${isChanged ? '+' : ''}`, checkout: ROOT};
};

/**
 * Another commit: checked out below out/, its images built by its own Makefile and brought into the cluster. Takes a minute or two the first time.
 * @throws Error when there is no such commit, or it cannot be built
 */
export const otherSide = async (revision: string, options: SideOptions): Promise<Side> => {
  const commit = await git(options, 'rev-parse', '--short=10', `${revision}^{commit}`);
  const checkout = join(ROOT, 'out', 'bench', `commit-${commit}`);
  if (!existsSync(checkout)) {
    await git(options, 'worktree', 'prune');
    await git(options, 'worktree', 'add', '--detach', checkout, commit);
  }
  await runCommand(['make', '-C', checkout, 'images'], options);
  const images = join(checkout, 'out', 'images.json');
  await runCommand([process.execPath, join(ROOT, 'scripts/cluster/main.ts'), 'load-images', images], options);
  return {name: 'before', revision: commit, checkout};
};
