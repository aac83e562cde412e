/** The folder in which an agent keeps its identity and its spool, and which it has for itself alone. */
import {mkdir, stat} from 'node:fs/promises';
import {createServer} from 'node:net';
import {dirname, resolve, sep} from 'node:path';
import {syncFolder} from './spool.ts';

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;

const HINTS: Readonly<Record<string, string>> = {
  EACCES: 'it must belong to the user who runs the agent',
  EPERM: 'it must belong to the user who runs the agent',
  EROFS: 'it must be on a file system that can be written',
  ENOSPC: 'the disk is full; what is stored is kept, and the agent goes on from there when it is started again',
  EDQUOT: 'the quota is used up; what is stored is kept, and the agent goes on from there when it is started again',
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

/**
 * Two agents on one folder would give the same numbers to different batches, so the first one takes a name that the kernel gives to one process and takes
 * back when that process ends, however it ends: a socket in Linux's abstract namespace (unix(7)). Other systems have none, and there nothing is taken.
 */
const takeAlone = async (folder: string): Promise<void> => {
  if (process.platform !== 'linux') return;
  const {dev, ino} = await stat(folder, {bigint: true});
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        codeOf(error) === 'EADDRINUSE'
          ? new Error(
              `another agent runs on the state folder ${folder}: stop it first, or give this one a folder of its own`,
            )
          : error,
      ),
    );
    server.listen(`\0pisync-agent-${dev}-${ino}`, resolve);
  });
  server.unref();
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
