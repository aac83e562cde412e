import {existsSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {runCommand} from '../terminal/command.ts';
import type {BuildContext} from './base-images.ts';
import {contentHash} from './content-hash.ts';

/** Builds the dashboard unless `cache` has this content already. @returns the folder with index.html */
export async function ensureDashboard(root: string, cache: string, context: BuildContext): Promise<string> {
  const source = join(root, 'services', 'dashboard');
  const inputs = [
    contentHash(source, [], ['dist', 'node_modules']),
    contentHash(join(root, 'contract', 'src'), []),
    readFileSync(join(root, 'package-lock.json'), 'utf8'),
  ];
  const folder = join(cache, `dashboard-${contentHash(join(source, 'src'), inputs)}`);
  if (existsSync(folder)) {
    utimesSync(folder, new Date(), new Date());
    return folder;
  }
  const partial = `${folder}.partial.${process.pid}`;
  mkdirSync(dirname(folder), {recursive: true});
  try {
    await runCommand(['vite', 'build', '--outDir', partial, '--logLevel', 'warn'], {
      ...context,
      cwd: source,
      env: {PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH ?? ''}`},
    });
    rmSync(folder, {recursive: true, force: true});
    renameSync(partial, folder);
  } finally {
    rmSync(partial, {recursive: true, force: true});
  }
  return folder;
}
