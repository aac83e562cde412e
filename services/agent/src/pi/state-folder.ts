/** The folder in which an agent keeps its identity and its spool, and which it has for itself alone. */
import {randomUUID} from 'node:crypto';
import {link, mkdir, open, rename, rm, stat} from 'node:fs/promises';
import {connect, createServer} from 'node:net';
import {dirname, resolve, sep} from 'node:path';
import {isMissing, syncFolder} from './spool.ts';

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;

const HINTS: Readonly<Record<string, string>> = {
  EACCES: 'it must belong to the user who runs the agent',
  EPERM: 'it must belong to the user who runs the agent',
  EROFS:
    'its file system cannot be written, which Linux makes of it when a card fails: see dmesg, and mount it anew or replace the card; what is stored is kept, and the agent goes on from there when it is started again',
  ENOSPC: 'the disk is full; what is stored is kept, and the agent goes on from there when it is started again',
  EDQUOT: 'the quota is used up; what is stored is kept, and the agent goes on from there when it is started again',
  EIO: 'the card fails; what was stored is kept as far as the card still has it, and the agent goes on from there when it is started again',
  ENOTDIR: 'it must be a folder',
  EEXIST: 'it must be a folder',
};

/** A write's error names no path; those of other files do. */
const isOf = (folder: string, error: Error): boolean =>
  !('path' in error) ||
  typeof error.path !== 'string' ||
  `${resolve(error.path)}${sep}`.startsWith(`${resolve(folder)}${sep}`);

/** @returns the error as one that names the folder and what to do, where it came from the folder's file system; else the same one. */
export const explainFolderError = (folder: string, error: unknown): unknown => {
  const code = codeOf(error);
  const hint = typeof code === 'string' ? HINTS[code] : undefined;
  if (hint === undefined || !(error instanceof Error) || !isOf(folder, error)) return error;
  return new Error(`cannot use the state folder ${folder}: ${hint} (${error.message})`, {cause: error});
};

/** @returns false when somebody has the name. */
const listen = async (name: string): Promise<boolean> => {
  const server = createServer((socket) => socket.destroy());
  const isOurs = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error) => (codeOf(error) === 'EADDRINUSE' ? resolve(false) : reject(error)));
    server.listen(name, () => resolve(true));
  });
  server.unref();
  return isOurs;
};

/** @returns whether somebody listens at a socket file; undefined where there is none. */
const isHeld = (path: string): Promise<boolean | undefined> =>
  new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      const code = codeOf(error);
      if (code === 'ECONNREFUSED') resolve(false);
      else if (code === 'ENOENT') resolve(undefined);
      else reject(error);
    });
  });

/** Takes away the file of a process that is gone. @returns false when it is that of one which took the name at this moment. */
const clear = async (path: string): Promise<boolean> => {
  const aside = `${path}-${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (isMissing(error)) return true;
    throw error;
  }
  const isGone = (await isHeld(aside)) !== true;
  if (!isGone) await link(aside, path);
  await rm(aside, {force: true});
  return isGone;
};

/** Of file systems that have no sockets. */
const NO_SOCKETS: readonly unknown[] = ['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS'];

/** A few agents at most start in the same moment. */
const TRIES = 5;

/** @returns an error of a path in /proc as one of the folder that it stands for; it names no path of its own. */
const asOf = (folder: string, path: string, error: unknown): unknown =>
  error instanceof Error
    ? Object.assign(new Error(error.message.replaceAll(path, folder), {cause: error}), {code: codeOf(error)})
    : error;

/**
 * A socket file in the folder is seen from every network namespace of this machine, and nobody listens at it any more when its process has ended.
 * @returns false when another process has it.
 */
export const takeSocketFile = async (folder: string): Promise<boolean> => {
  // The name of a socket may have 107 bytes, and that of a folder more.
  const handle = process.platform === 'linux' ? await open(folder, 'r') : undefined;
  const short = handle === undefined ? folder : `/proc/self/fd/${handle.fd}`;
  const path = `${short}/agent.sock`;
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const held = await isHeld(path);
      if (held === true || (held === false && !(await clear(path)))) return false;
      if (await listen(path)) return true;
    }
    return false;
  } catch (error) {
    if (NO_SOCKETS.includes(codeOf(error))) return true;
    throw asOf(folder, short, error);
  } finally {
    await handle?.close();
  }
};

/**
 * Two agents on one folder would give the same numbers to different batches, so the first one takes names that the kernel gives to one process and takes
 * back when that process ends, however it ends: a socket in Linux's abstract namespace (unix(7)), which two that start together cannot both have, and a
 * socket file, which also an agent in another container finds. Agents on two machines with one folder between them do not see each other.
 */
const takeAlone = async (folder: string): Promise<void> => {
  const {dev, ino} = await stat(folder, {bigint: true});
  const isAlone = process.platform !== 'linux' || (await listen(`\0pisync-agent-${dev}-${ino}`));
  if (isAlone && (await takeSocketFile(folder))) return;
  throw new Error(
    `another agent runs on the state folder ${folder}: stop it first, or give this one a folder of its own`,
  );
};

/**
 * Makes the folder where it is missing, and takes it for this process until that ends.
 * @throws when another agent has it, or it cannot be made.
 */
export const openStateFolder = async (folder: string): Promise<void> => {
  const path = resolve(folder);
  const made = await mkdir(path, {recursive: true, mode: 0o700});
  // Each new folder is an entry of the one above.
  for (let at = path; made !== undefined && at.startsWith(made); at = dirname(at)) await syncFolder(dirname(at));
  await takeAlone(folder);
};
