/** `make lock`: package-lock.json after a change of dependencies, complete and tried; `check` looks at the one that is there; `try` installs from it. */
import {readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {runCommand} from '../terminal/command.ts';
import {runSteps, type Step} from '../terminal/steps.ts';
import {installAfresh, manifestsOnly} from './fresh-install.ts';
import {completed, incompleteEntries, parseLock, workspacesOf, writeLock} from './lock-file.ts';

const HELP = `usage: main.ts write [--from-nothing]|check|try

  write           make package-lock.json fit the package.json files, complete it where the registry lacks a package of another platform, and
                  install from it into an empty folder with empty caches. --from-nothing takes the newest version of everything that is not pinned
  check           fail when the lock has an entry that cannot be installed from
  try             install from the lock into an empty folder with empty caches
`;

const root = join(import.meta.dirname, '../..');
const file = join(root, 'package-lock.json');
/** Some later releases leave out packages of other platforms when they write a lock, and then refuse the result. */
const NPM = 'npm@11.5.2';

const write = (fromNothing: boolean): Step => ({
  name: 'package-lock.json',
  async run({log, signal, say}) {
    const text = readFileSync(file, 'utf8');
    const folder = manifestsOnly(root, text);
    const target = join(folder, 'package-lock.json');
    try {
      if (!fromNothing) writeFileSync(target, text);
      await runCommand(['npx', '--yes', NPM, 'install', '--package-lock-only', '--no-audit', '--loglevel=error'], {
        log,
        signal,
        cwd: folder,
      });
      const written = parseLock(readFileSync(target, 'utf8'));
      const lacking = incompleteEntries(written);
      if (lacking.length > 0) say(`The registry lacks ${lacking.length} packages; looking for them in the last lock`);
      const lock = writeLock(completed(written, parseLock(text)));
      writeFileSync(target, lock);
      await installAfresh(folder, {log, signal});
      writeFileSync(file, lock);
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
  },
});

const tryIt: Step = {
  name: 'install on a fresh machine',
  async run({log, signal}) {
    const text = readFileSync(file, 'utf8');
    const folder = manifestsOnly(root, text);
    try {
      writeFileSync(join(folder, 'package-lock.json'), text);
      await installAfresh(folder, {log, signal});
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
  },
};

const check = (): number => {
  const lock = parseLock(readFileSync(file, 'utf8'));
  const lacking = incompleteEntries(lock);
  for (const path of lacking) console.error(`package-lock.json: ${path} lacks its version or integrity`);
  if (lacking.length > 0) console.error('Nothing can be installed from it: write it with `make lock`');
  else
    console.log(`package-lock.json: ${Object.keys(lock.packages).length - workspacesOf(lock).length} complete entries`);
  return lacking.length === 0 ? 0 : 1;
};

const [verb, flag] = process.argv.slice(2);
const steps = (): readonly Step[] | undefined => {
  if (verb === 'write' && (flag === undefined || flag === '--from-nothing')) return [write(flag !== undefined)];
  return verb === 'try' && flag === undefined ? [tryIt] : undefined;
};
const chosen = steps();
if (verb === 'check' && flag === undefined) process.exitCode = check();
else if (chosen !== undefined) process.exitCode = await runSteps(chosen, {logFolder: join(root, 'out/logs/lock')});
else {
  process.stdout.write(HELP);
  process.exitCode = verb === '--help' ? 0 : 2;
}
