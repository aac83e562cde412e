import {DatabaseError} from './database-error.ts';
import {type KeptRow, type ReceiptRow, type RecordRow, type Tables} from './rows.ts';

/** Runs in a session, at one moment unless it waits for a lock. */
export type Statement<T> = (session: Session) => T | Promise<T>;

/** What a transaction has written and not committed. */
interface Written {
  readonly receipts: ReceiptRow[];
  readonly records: RecordRow[];
  readonly kept: KeptRow[];
  /** All else, to be done to the tables at the commit. */
  readonly changes: ((tables: Tables) => void)[];
}

/** A connection's transaction on the server. It lives on when its client is gone, until the server notices. */
export interface Session {
  readonly who: string;
  readonly tables: () => Tables;
  readonly written: Written;
  /** Runs after those before it. @throws DatabaseError */
  run<T>(statement: Statement<T>): Promise<T>;
  /** @returns false when somebody else has it */
  tryLock(name: string): boolean;
  isLockedByOther(name: string): boolean;
  /** Resolves when it has the lock; 40P01 when that would never be. */
  lock(name: string): Promise<void>;
  /** @throws DatabaseError 25P02 after a failure */
  commit(): Promise<void>;
  rollback(): void;
  end(code: string, message: string): void;
  /** What it is waiting for. For deadlocks. */
  readonly waitsFor: () => Session | undefined;
  /** Once it is over, or somebody waits for one of its locks in vain. */
  onRelease(listener: () => void): void;
}

export interface SessionOptions {
  readonly database: {
    readonly tables: () => Tables;
    /** Resolves at once, or when the server no longer hangs. */
    readonly awake: () => Promise<void>;
    /** Resolves after the time that a statement takes. */
    readonly work: () => Promise<void>;
  };
  readonly who: string;
  /** Holders by name, of all sessions. */
  readonly locks: Map<string, Session>;
  readonly onEnd: () => void;
}

export const createSession = ({database, who, locks, onEnd}: SessionOptions): Session => {
  const held = new Set<string>();
  let released: (() => void)[] = [];
  let ended: DatabaseError | undefined;
  let hasFailed = false;
  let isOver = false;
  let waitsFor: Session | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const written: Written = {receipts: [], records: [], kept: [], changes: []};

  const throwIfEnded = (): void => {
    if (ended !== undefined) throw ended;
  };

  const release = (): void => {
    for (const name of held) locks.delete(name);
    held.clear();
    const listeners = released;
    released = [];
    for (const listener of listeners) listener();
  };

  const forget = (): void => {
    written.receipts.length = 0;
    written.records.length = 0;
    written.kept.length = 0;
    written.changes.length = 0;
  };

  const execute = async <T>(statement: Statement<T>): Promise<T> => {
    await database.work();
    await database.awake();
    throwIfEnded();
    if (isOver) throw new DatabaseError('25P01', 'no transaction is in progress');
    if (hasFailed) throw new DatabaseError('25P02', 'current transaction is aborted');
    try {
      const value = await statement(session);
      throwIfEnded();
      return value;
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  };

  const session: Session = {
    who,
    tables: () => database.tables(),
    written,
    run(statement) {
      const result = last.then(() => execute(statement));
      last = result.catch(() => undefined);
      return result;
    },
    tryLock(name) {
      const holder = locks.get(name);
      if (holder !== undefined && holder !== session) return false;
      locks.set(name, session);
      held.add(name);
      return true;
    },
    isLockedByOther(name) {
      const holder = locks.get(name);
      return holder !== undefined && holder !== session;
    },
    async lock(name) {
      while (!session.tryLock(name)) {
        const holder = locks.get(name);
        if (holder === undefined) continue;
        for (let at: Session | undefined = holder; at !== undefined; at = at.waitsFor()) {
          if (at === session) throw new DatabaseError('40P01', 'deadlock detected');
        }
        waitsFor = holder;
        await new Promise<void>((resolve) => {
          holder.onRelease(resolve);
          session.onRelease(resolve);
        });
        waitsFor = undefined;
        throwIfEnded();
      }
    },
    async commit() {
      await session.run(() => {
        const tables = database.tables();
        for (const row of written.receipts) {
          tables.receipts.set(`${row.deviceKey}/${row.epoch}/${row.batchSeq}/${row.day}`, row);
        }
        tables.records.push(...written.records);
        tables.kept.push(...written.kept);
        for (const change of written.changes) change(tables);
        forget();
        release();
        isOver = true;
        onEnd();
      });
    },
    rollback() {
      forget();
      session.end('25P01', 'the transaction was rolled back');
    },
    end(code, message) {
      if (ended !== undefined || isOver) return;
      ended = new DatabaseError(code, message);
      forget();
      release();
      onEnd();
    },
    waitsFor: () => waitsFor,
    onRelease: (listener) => void released.push(listener),
  };
  return session;
};
