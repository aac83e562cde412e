import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {type LockFile, parseLock} from '../lock/lock-file.ts';

type Packages = LockFile['packages'];

/** True when what is installed is what the lock file asks for; packages for other platforms may be absent. */
export function areInstalled(locked: Packages, installed: Packages): boolean {
  const wanted = Object.entries(locked).filter(([path]) => path.includes('node_modules/'));
  return (
    wanted.every(([path, {version, optional, link}]) => {
      const found = installed[path];
      return found === undefined ? optional === true : found.version === version && found.link === link;
    }) && Object.keys(installed).every((path) => locked[path] !== undefined)
  );
}

/** Whether `npm ci` would change nothing. */
export function packagesInstalled(root: string): boolean {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return false;
  return areInstalled(readPackages(join(root, 'package-lock.json')), readPackages(installed));
}

const readPackages = (file: string): Packages => parseLock(readFileSync(file, 'utf8')).packages;
