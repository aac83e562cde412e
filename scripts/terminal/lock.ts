import {linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import type {Log} from './log.ts';
import {isAlive as isSameProcess, processRef} from './processes.ts';

/**
 * Runs `work` while no other process of this machine runs it under the same lock file. The file holds the owner's process id and, where the
 * system tells it, its start time, so that the lock of a process that was killed does not outlive it, nor passes to a later one of the same number.
 */
export async function withLock<T>(
  path: string,
  {log, signal}: {readonly log: Log; readonly signal?: AbortSignal | undefined},
  work: () => Promise<T>,
): Promise<T> {
  mkdirSync(dirname(path), {recursive: true});
  for (let told = 0; ;) {
    const owner = tryTake(path);
    if (owner === 'us') break;
    if (owner !== told) log(`waiting for process ${owner}, which holds ${path}`);
    told = owner;
    await delay(500, undefined, signal === undefined ? {} : {signal});
  }
  try {
    return await work();
  } finally {
    rmSync(path, {force: true});
  }
}

function tryTake(path: string): 'us' | number {
  // A link appears with its content: nobody ever sees a lock without an owner.
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, `${process.pid} ${processRef(process.pid)?.startTicks ?? ''}`.trim());
  try {
    linkSync(mine, path);
    return 'us';
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(mine, {force: true});
  }
  const owner = lockOwner(path);
  if (owner !== undefined) return owner;
  try {
    // Of several that find the same dead owner only one can move its file away.
    renameSync(path, `${path}.${process.pid}.dead`);
    rmSync(`${path}.${process.pid}.dead`, {force: true});
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  return tryTake(path);
}

/** The living process that holds a lock file, or undefined when nobody does. */
export function lockOwner(path: string): number | undefined {
  try {
    const [pid = 0, startTicks] = readFileSync(path, 'utf8').split(' ').map(Number);
    if (!Number.isInteger(pid) || pid <= 0) return undefined;
    const lives = startTicks === undefined ? isAlive(pid) : isSameProcess({pid, startTicks});
    return lives ? pid : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === code;
