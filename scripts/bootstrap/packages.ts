import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

/** A package of package-lock.json, or of the copy of it that npm leaves in node_modules to say what it installed. */
interface LockedPackage {
  readonly version?: string;
  readonly optional?: boolean;
  readonly link?: boolean;
}
type Packages = Readonly<Record<string, LockedPackage>>;

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

function readPackages(file: string): Packages {
  const lock: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (typeof lock !== 'object' || lock === null || !('packages' in lock))
    throw new Error(`${file} is not a lock file of npm 7 or newer`);
  // npm's own format, version 3: https://docs.npmjs.com/cli/configuring-npm/package-lock-json
  return lock.packages as Packages;
}
