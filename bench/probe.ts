import {closeSync, fdatasyncSync, openSync, rmSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import type pg from 'pg';
import {type Spread, spreadOf} from './measure.ts';

/** What the disk and the database need for durability; rates of two machines are only comparable beside these. */
export interface Probe {
  readonly postgres: string;
  readonly fsync: string;
  readonly synchronousCommit: string;
  /** One committed update of one row over one connection. */
  readonly commitMs: Spread;
  /** 8 KiB written to `folder` and made durable. */
  readonly fdatasyncMs: Spread;
}

const TIMES = 40;

const elapsedMs = async (work: () => unknown): Promise<number> => {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
};

/** Takes well under a second. `folder` is on the disk of this process, which need not be the server's. */
export const probe = async (pool: pg.Pool, folder: string): Promise<Probe> => {
  const client = await pool.connect();
  const setting = async (name: string): Promise<string> => {
    const found = await client.query<{value: string}>('select current_setting($1) as value', [name]);
    return found.rows[0]?.value ?? 'unknown';
  };
  const path = join(folder, `fsync-probe-${process.pid}`);
  const file = openSync(path, 'w');
  try {
    const block = Buffer.alloc(8192, 1);
    const fdatasyncs: number[] = [];
    for (let index = 0; index < TIMES; index++) {
      fdatasyncs.push(
        await elapsedMs(() => {
          writeSync(file, block);
          fdatasyncSync(file);
        }),
      );
    }
    await client.query('create table commit_probe (n int)');
    await client.query('insert into commit_probe values (0)');
    const commits: number[] = [];
    for (let index = 0; index < TIMES; index++) {
      commits.push(await elapsedMs(() => client.query('update commit_probe set n = n + 1')));
    }
    await client.query('drop table commit_probe');
    return {
      postgres: await setting('server_version'),
      fsync: await setting('fsync'),
      synchronousCommit: await setting('synchronous_commit'),
      commitMs: spreadOf(commits),
      fdatasyncMs: spreadOf(fdatasyncs),
    };
  } finally {
    client.release();
    closeSync(file);
    rmSync(path, {force: true});
  }
};
