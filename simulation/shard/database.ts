/**
 * One shard's server: sessions that run statements one after the other, each with what is committed when it begins; row locks; commits that are all or
 * nothing. It may hang, refuse, restart, or come back as it was some moments ago.
 */
import {type Random} from '../random.ts';
import {type Scheduler} from '../scheduler.ts';
import {type Story} from '../story.ts';
import {DatabaseError} from './database-error.ts';
import {copyTables, emptyTables, type Tables} from './rows.ts';
import {createSession, type Session} from './session.ts';

export interface Database {
  readonly name: string;
  readonly tables: () => Tables;
  /** @throws when it refuses */
  open(who: string): Session;
  readonly isHung: () => boolean;
  /** Resolves at once, or when it no longer hangs. */
  readonly awake: () => Promise<void>;
  /** Resolves after the time that a statement takes. */
  readonly work: () => Promise<void>;
  /** Nothing is answered for so long. */
  hang(ms: number): void;
  /** Every session ends without its commit, and for so long none is opened. */
  restart(ms: number): void;
  /** Remembers how it is now. */
  backUp(): void;
  /** Becomes what the backup has. @returns whether there is one */
  restore(): boolean;
  readonly wasRestored: () => boolean;
  /** Slows statements down by this factor. */
  setPace(factor: number): void;
}

export interface DatabaseOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly story: Story;
}

export const createDatabase = ({name, scheduler, random, story}: DatabaseOptions): Database => {
  let tables = emptyTables();
  let backup: Tables | undefined;
  let wasRestored = false;
  let refusesUntilMs = 0;
  let pace = 1;
  let waking: (() => void)[] | undefined;
  const sessions = new Set<Session>();
  const locks = new Map<string, Session>();

  const endAll = (): void => {
    for (const session of [...sessions]) session.end('57P01', 'terminating connection due to administrator command');
  };

  const database: Database = {
    name,
    tables: () => tables,
    open(who) {
      if (scheduler.now() < refusesUntilMs) throw new DatabaseError('ECONNREFUSED', `connect ECONNREFUSED ${name}`);
      const session = createSession({database, who, locks, onEnd: () => sessions.delete(session)});
      sessions.add(session);
      return session;
    },
    isHung: () => waking !== undefined,
    awake: () => (waking === undefined ? Promise.resolve() : new Promise((resolve) => waking?.push(resolve))),
    work: () => new Promise((resolve) => void scheduler.after(random.skewed(0.2, 40) * pace, resolve)),
    hang(ms) {
      if (waking !== undefined) return;
      waking = [];
      story.say(name, () => `hangs for ${Math.round(ms)} ms`);
      scheduler.after(ms, () => {
        const woken = waking ?? [];
        waking = undefined;
        story.say(name, () => 'answers again');
        for (const wake of woken) wake();
      });
    },
    restart(ms) {
      story.say(
        name,
        () => `restarts and refuses for ${Math.round(ms)} ms; ${sessions.size} transactions are rolled back`,
      );
      refusesUntilMs = Math.max(refusesUntilMs, scheduler.now() + ms);
      endAll();
    },
    backUp() {
      backup = copyTables(tables);
      story.say(name, () => 'is backed up');
    },
    restore() {
      if (backup === undefined) return false;
      story.say(name, () => 'is restored from its backup');
      endAll();
      tables = copyTables(backup);
      wasRestored = true;
      return true;
    },
    wasRestored: () => wasRestored,
    setPace(factor) {
      pace = factor;
    },
  };
  return database;
};
