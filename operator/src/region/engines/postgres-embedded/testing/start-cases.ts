import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {existsSync, globSync} from 'node:fs';
import {chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {type Readable} from 'node:stream';
import {join} from 'node:path';
import {USER_ENTRY} from '../../../manifests/user-entry.ts';
import {type ShardPaths, startScript} from '../scripts.ts';

/** PostgreSQL refuses to run as root; this user exists everywhere. */
const NOBODY = 65_534;
const IS_ROOT = process.getuid?.() === 0;
/** A user that is in no /etc/passwd, as OpenShift assigns them. */
const STRANGER = 1_000_680_000;
const HAS_NAMESPACES = IS_ROOT && spawnSync('unshare', ['--mount', 'true']).status === 0;
export const REAL_PROGRAMS = '/usr/lib/postgresql/*/bin';

/** Programs that leave behind what the real ones would, and say what they were asked. */
const STUBS: Readonly<Record<string, string>> = {
  initdb: 'dir=${1#--pgdata=}; mkdir -p "$dir/base" && printf 15 > "$dir/PG_VERSION"',
  postgres: `case " $* " in
    *' -C '*) ! grep -q worrk_mem "\${6#config_file=}" || { echo '1 LOG:  unrecognized configuration parameter "worrk_mem"' >&2; exit 1; } ;;
    *' --single '*) cat ;;
    *) echo "database system is ready to accept connections" >&2; exec sleep 60 ;;
  esac`,
};

let root: string;
let paths: ShardPaths;
let running: ChildProcess | undefined;

const setUp = async (programs: 'stubs' | 'real'): Promise<void> => {
  root = await mkdtemp(join(tmpdir(), 'pisync-shard-'));
  paths = {
    volume: join(root, 'volume'),
    data: join(root, 'volume/pgdata'),
    socket: join(root, 'socket'),
    config: join(root, 'config'),
    secret: join(root, 'secret'),
    lastWords: join(root, 'last-words'),
    programs: programs === 'real' ? REAL_PROGRAMS : join(root, 'bin'),
  };
  for (const folder of ['volume', 'socket', 'config', 'secret', 'bin']) await mkdir(join(root, folder));
  for (const [name, text] of Object.entries(STUBS)) {
    await writeFile(join(root, 'bin', name), `#!/bin/sh\n${text}\n`, {mode: 0o755});
  }
  await writeFile(join(paths.config, 'start.sh'), startScript(paths));
  await configure();
  await writeFile(join(paths.config, 'pg_hba.conf'), 'local all all trust\n');
  await writeFile(join(paths.secret, 'password'), 'secret');
  await writeFile(paths.lastWords, '');
  if (IS_ROOT)
    for (const path of [root, paths.volume, paths.socket, paths.lastWords]) await chown(path, NOBODY, NOBODY);
  await chmod(root, 0o755);
  await chmod(paths.lastWords, 0o666);
};

const configure = (line = ''): Promise<void> =>
  writeFile(
    join(paths.config, 'postgresql.conf'),
    `listen_addresses = ''\nunix_socket_directories = '${paths.socket}'\n${line}\n`,
  );

/** Ends with `ready` when the server serves, else with what was left for the status, or at least in the log. */
const start = async (): Promise<string> =>
  answerOf(
    spawn('sh', [join(paths.config, 'start.sh')], {
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(IS_ROOT ? {uid: NOBODY, gid: NOBODY} : {}),
    }),
  );

/** As in a pod that the platform gave a user of its own: what the container before it wrote is this one's /etc/passwd. */
const startAsStranger = async (): Promise<string> => {
  const asStranger = `setpriv --reuid=${STRANGER} --regid=0 --clear-groups`;
  const script = `mount -t tmpfs tmpfs /run && mkdir -m 777 ${USER_ENTRY.folder} && ${asStranger} sh -c "$1" &&
    mount --bind ${USER_ENTRY.folder}/passwd /etc/passwd && exec ${asStranger} sh "$2"`;
  const args = ['--mount', 'sh', '-c', script, 'sh', USER_ENTRY.script, join(paths.config, 'start.sh')];
  return answerOf(spawn('unshare', args, {stdio: ['ignore', 'ignore', 'pipe']}));
};

const answerOf = async (child: ChildProcess & {readonly stderr: Readable}): Promise<string> => {
  running = child;
  let log = '';
  const answer = await new Promise<string | undefined>((resolve) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes('ready to accept connections')) resolve('ready');
    });
    child.once('close', () => resolve(undefined));
  });
  if (answer !== undefined) return answer;
  const lastWords = await readFile(paths.lastWords, 'utf8');
  return lastWords === '' ? `nothing was said, but: ${log}` : lastWords;
};

const stop = async (): Promise<void> => {
  const child = running;
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  await ended;
};

/** Of the server that the script takes. */
const realFolder = (): string => globSync(REAL_PROGRAMS).toSorted().at(-1) ?? '';

const readStamp = (): Promise<string> => readFile(join(paths.volume, 'password.stamp'), 'utf8');

/** What must be true of a start with stand-ins for PostgreSQL's programs, and with these themselves. */
export const describeStarts = (programs: 'stubs' | 'real'): void =>
  describe('the start of a shard', () => {
    beforeEach(() => setUp(programs));

    afterEach(async () => {
      await stop();
      await rm(root, {recursive: true, force: true});
    });

    test('makes a database on an empty volume, and starts it again', async () => {
      await mkdir(join(paths.volume, 'lost+found'));
      await mkdir(join(paths.volume, '.snapshot'));
      expect(await start()).toBe('ready');
      await stop();
      expect(await start()).toBe('ready');
      expect(await readdir(paths.volume)).not.toContain('pgdata.new');
    });

    test('begins anew after a first start that was interrupted', async () => {
      await mkdir(`${paths.data}.new/base`, {recursive: true});
      await mkdir(paths.data);
      if (IS_ROOT) for (const path of [`${paths.data}.new`, paths.data]) await chown(path, NOBODY, NOBODY);
      if (IS_ROOT) await chown(`${paths.data}.new/base`, NOBODY, NOBODY);
      expect(await start()).toBe('ready');
    });

    test.each([
      ['missing', (file: string) => rm(file)],
      ['empty', (file: string) => writeFile(file, '')],
    ])('touches no data beside which PG_VERSION is %s', async (_how, harm) => {
      expect(await start()).toBe('ready');
      await stop();
      await harm(join(paths.data, 'PG_VERSION'));
      const before = await readdir(join(paths.data, 'base'));
      expect(await start()).toContain('nothing was touched. Restore the volume completely');
      expect(await readdir(join(paths.data, 'base'))).toEqual(before);
    });

    test.each(['password.stamp', 'base'])('makes no database on a volume that has only %s left', async (rest) => {
      await writeFile(join(paths.volume, rest), 'x');
      expect(await start()).toContain(`Found: ${rest} `);
      expect(existsSync(paths.data)).toBe(false);
    });

    (HAS_NAMESPACES ? test : test.skip)('runs as a user that the image does not know', async () => {
      for (const path of [paths.volume, paths.socket, paths.lastWords]) await chown(path, STRANGER, 0);
      expect(await startAsStranger()).toBe('ready');
      await stop();
      expect(await start()).toContain('belongs to another user');
    });

    test('says which setting is wrong, and starts when it is right again', async () => {
      await configure("worrk_mem = '8MB'");
      expect(await start()).toContain('the settings are wrong: unrecognized configuration parameter "worrk_mem"');
      await configure("work_mem = '8MB'");
      expect(await start()).toBe('ready');
    });

    if (programs === 'real') describeFailures();
  });

/** An error of SQL, which PostgreSQL's single-user mode passes over unless it is told otherwise. */
const describeFailures = (): void => {
  test('takes no database into use that could not be made', async () => {
    const folder = join(root, 'wrapped');
    await mkdir(folder);
    const spoil = `printf 'create role pisync;\\n\\n' | ${realFolder()}/postgres --single -j -D "\${1#--pgdata=}" postgres`;
    await writeFile(join(folder, 'initdb'), `#!/bin/sh\n${realFolder()}/initdb "$@" && ${spoil}\n`, {mode: 0o755});
    await writeFile(join(paths.config, 'start.sh'), startScript({...paths, programs: `${paths.programs} ${folder}`}));
    expect(await start()).toContain('role "pisync" already exists');
    expect(existsSync(paths.data)).toBe(false);
  });

  test('does not take a password for set that could not be', async () => {
    expect(await start()).toBe('ready');
    await stop();
    const [stamp, owner] = [await readStamp(), IS_ROOT ? {uid: NOBODY, gid: NOBODY} : {}];
    const single = (sql: string) =>
      spawnSync(join(realFolder(), 'postgres'), ['--single', '-j', '-D', paths.data, 'postgres'], {
        input: `${sql};\n\n`,
        ...owner,
      });
    single('alter role pisync rename to somebody');
    await writeFile(join(paths.secret, 'password'), 'another');
    expect(await start()).toContain('role "pisync" does not exist');
    expect(await readStamp()).toBe(stamp);
    single('alter role somebody rename to pisync');
    expect(await start()).toBe('ready');
    expect(await readStamp()).not.toBe(stamp);
  });
};
