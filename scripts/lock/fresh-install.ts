import {cpSync, mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {runCommand} from '../terminal/command.ts';
import type {StepContext} from '../terminal/steps.ts';
import {parseLock, workspacesOf} from './lock-file.ts';

const COPIED = ['.npmrc', '.node-version', 'package.json', 'scripts/bootstrap'];

/** A folder with what `npm ci` reads: the lock, and the manifests of the root and the workspaces. The caller removes it. */
export const manifestsOnly = (root: string, lock: string): string => {
  const folder = mkdtempSync(join(tmpdir(), 'pisync-install-'));
  const workspaces = workspacesOf(parseLock(lock)).filter((path) => path !== '');
  for (const path of [...COPIED, ...workspaces.map((workspace) => join(workspace, 'package.json'))]) {
    mkdirSync(dirname(join(folder, path)), {recursive: true});
    cpSync(join(root, path), join(folder, path), {recursive: true});
  }
  return folder;
};

/**
 * Installs what a folder's package-lock.json names as a machine does that has never seen it: caches of npm and of ours are empty. The folder has
 * node_modules then.
 *
 * @throws CommandFailed with npm's last lines
 */
export const installAfresh = async (folder: string, {log, signal}: StepContext): Promise<void> => {
  const caches = mkdtempSync(join(tmpdir(), 'pisync-caches-'));
  try {
    const env = {npm_config_cache: join(caches, 'npm'), XDG_CACHE_HOME: caches};
    const node = await runCommand(['sh', join(folder, 'scripts/bootstrap/node.sh')], {log, signal, env});
    await runCommand(['npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      log,
      signal,
      cwd: folder,
      env: {...env, PATH: `${dirname(node)}:${process.env['PATH'] ?? ''}`},
    });
  } finally {
    rmSync(caches, {recursive: true, force: true});
  }
};
