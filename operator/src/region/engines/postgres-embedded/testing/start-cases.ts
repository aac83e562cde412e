import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {asUser, inPostgresImage, type User} from '../../../../testing/postgres-image.ts';
import {USER_ENTRY} from '../../../manifests/user-entry.ts';
import {PATHS} from '../config.ts';
import {type ShardPaths, startScript} from '../scripts.ts';

/** PostgreSQL refuses to run as root; this user exists everywhere. */
const NOBODY: User = {uid: 65_534, gid: 65_534};
/** A user that is in no /etc/passwd, as OpenShift assigns them. */
const STRANGER: User = {uid: 1_000_680_000, gid: 0};

/** Stand-ins for PostgreSQL's programs, which run as whoever runs the tests, or those of the image that shards run from, which only root may enter. */
type Programs = 'stubs' | 'image';

/** Programs that leave behind what the real ones would, and say what they were asked. */
const STUBS: Readonly<Record<string, string>> = {
  initdb: 'dir=${1#--pgdata=}; mkdir -p "$dir/base" && printf 15 > "$dir/PG_VERSION"',
  postgres: `case " $* " in
    *' --version '*) echo 'postgres (PostgreSQL) 15.14 (Debian 15.14-1.pgdg13+1)' ;;
    *' -C '*) ! grep -q worrk_mem "\${6#config_file=}" || { echo '1 LOG:  unrecognized configuration parameter "worrk_mem"' >&2; exit 1; } ;;
    *' --single '*) cat ;;
    *) echo "database system is ready to accept connections" >&2; exec sleep 60 ;;
  esac`,
};

let programs: Programs;
let root: string;
let paths: ShardPaths;
let running: ChildProcess | undefined;

const setUp = async (which: Programs): Promise<void> => {
  programs = which;
  // The image's tree has this machine's /tmp.
  root = await mkdtemp('/tmp/pisync-shard-');
  paths = {
    volume: join(root, 'volume'),
    data: join(root, 'volume/pgdata'),
    socket: join(root, 'socket'),
    config: join(root, 'config'),
    secret: join(root, 'secret'),
    lastWords: join(root, 'last-words'),
    programs: programs === 'image' ? PATHS.programs : join(root, 'bin'),
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
  await giveTo(NOBODY, paths.volume, paths.socket, paths.lastWords);
  await chmod(root, 0o755);
};

/** To the user that the start runs as. */
const giveTo = async ({uid, gid}: User, ...files: readonly string[]): Promise<void> => {
  if (programs === 'image') for (const file of files) await chown(file, uid, gid);
};

const configure = (line = ''): Promise<void> =>
  writeFile(
    join(paths.config, 'postgresql.conf'),
    `listen_addresses = ''\nunix_socket_directories = '${paths.socket}'\n${line}\n`,
  );

/** Ends with `ready` when the server serves, else with what was left for the status, or at least in the log. */
const start = (): Promise<string> => {
  const command = ['sh', join(paths.config, 'start.sh')] as const;
  return answerOf(programs === 'image' ? inPostgresImage(NOBODY, command) : command);
};

/** As in a pod that the platform gave a user of its own: what the container before it wrote is this one's /etc/passwd. */
const startAsStranger = async (): Promise<string> => {
  await writeFile(join(paths.config, 'user-entry.sh'), USER_ENTRY.script);
  const folder = `"$tree"${USER_ENTRY.folder}`;
  const before = `mount -t tmpfs tmpfs "$tree/run"; mkdir -m 777 ${folder}
    ${asUser(STRANGER)} sh ${paths.config}/user-entry.sh; mount --bind ${folder}/passwd "$tree/etc/passwd"`;
  return answerOf(inPostgresImage(STRANGER, ['sh', join(paths.config, 'start.sh')], before));
};

const answerOf = async ([program, ...args]: readonly [string, ...string[]]): Promise<string> => {
  const child = spawn(program, args, {stdio: ['ignore', 'ignore', 'pipe']});
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

const readStamp = (): Promise<string> => readFile(join(paths.volume, 'password.stamp'), 'utf8');

/** What must be true of a start with stand-ins for PostgreSQL's programs, and with these themselves. */
export const describeStarts = (which: Programs): void =>
  describe('the start of a shard', () => {
    beforeEach(() => setUp(which));

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
      await giveTo(NOBODY, `${paths.data}.new/base`, `${paths.data}.new`, paths.data);
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

    test('says that the data is of another major version, and starts when it is of the same again', async () => {
      expect(await start()).toBe('ready');
      await stop();
      const file = join(paths.data, 'PG_VERSION');
      const version = await readFile(file, 'utf8');
      await writeFile(file, '14\n');
      const image = `the image has ${version.trim()}; name an image of PostgreSQL 14`;
      expect(await start()).toBe(`the data is of PostgreSQL 14, ${image}`);
      await writeFile(file, version);
      expect(await start()).toBe('ready');
    });

    test.each(['password.stamp', 'base'])('makes no database on a volume that has only %s left', async (rest) => {
      await writeFile(join(paths.volume, rest), 'x');
      expect(await start()).toContain(`Found: ${rest} `);
      expect(existsSync(paths.data)).toBe(false);
    });

    test('says which setting is wrong, and starts when it is right again', async () => {
      await configure("worrk_mem = '8MB'");
      expect(await start()).toContain('the settings are wrong: unrecognized configuration parameter "worrk_mem"');
      await configure("work_mem = '8MB'");
      expect(await start()).toBe('ready');
    });

    if (which === 'image') describeImage();
  });

/** What stand-ins know nothing of: users, and an error of SQL, which PostgreSQL's single-user mode passes over unless it is told otherwise. */
const describeImage = (): void => {
  test('runs as a user that the image does not know', async () => {
    await giveTo(STRANGER, paths.volume, paths.socket, paths.lastWords);
    expect(await startAsStranger()).toBe('ready');
    await stop();
    await giveTo(NOBODY, paths.lastWords);
    expect(await start()).toContain('belongs to another user');
  });

  test('takes no database into use that could not be made', async () => {
    const folder = join(root, 'wrapped');
    await mkdir(folder);
    const spoil = `printf 'create role pisync;\\n\\n' | ${PATHS.programs}/postgres --single -j -D "\${1#--pgdata=}" postgres`;
    await writeFile(join(folder, 'initdb'), `#!/bin/sh\n${PATHS.programs}/initdb "$@" && ${spoil}\n`, {mode: 0o755});
    await writeFile(join(paths.config, 'start.sh'), startScript({...paths, programs: `${paths.programs} ${folder}`}));
    expect(await start()).toContain('role "pisync" already exists');
    expect(existsSync(paths.data)).toBe(false);
  });

  test('does not take a password for set that could not be', async () => {
    expect(await start()).toBe('ready');
    await stop();
    const stamp = await readStamp();
    const single = (sql: string): void => {
      const script = `exec ${PATHS.programs}/postgres --single -j -D ${paths.data} postgres`;
      const [program, ...args] = inPostgresImage(NOBODY, ['sh', '-c', script]);
      execFileSync(program, args, {input: `${sql};\n\n`, stdio: 'pipe'});
    };
    single('alter role pisync rename to somebody');
    await writeFile(join(paths.secret, 'password'), 'another');
    expect(await start()).toContain('role "pisync" does not exist');
    expect(await readStamp()).toBe(stamp);
    single('alter role somebody rename to pisync');
    expect(await start()).toBe('ready');
    expect(await readStamp()).not.toBe(stamp);
  });
};
