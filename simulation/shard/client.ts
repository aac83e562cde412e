import {type Process} from '../processes/process.ts';
import {type Random} from '../random.ts';
import {type Scheduler} from '../scheduler.ts';
import {type Database} from './database.ts';
import {type Session, type Statement} from './session.ts';

/** A connection in the hands of a process. What is sent on it arrives in order; what it is answered may be lost with it. */
export interface Connection {
  query<T>(statement: Statement<T>): Promise<T>;
  commit(): Promise<void>;
  /** As if its socket were destroyed. The server learns of it later, and does what it was sent. */
  cut(): void;
  /** Without a commit it is a roll back. */
  close(): void;
}

export interface ShardClient {
  /** @throws as node-postgres does when there is none to be had */
  connect(): Promise<Connection>;
  /** One statement, committed. */
  ask<T>(statement: Statement<T>): Promise<T>;
  /** Whether a commit is answered within a second. */
  answers(): Promise<boolean>;
}

export interface ShardClientOptions {
  readonly process: Process;
  readonly database: Database;
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** How likely it is that a connection breaks around a statement. */
  readonly breakage: () => number;
}

const CONNECT_TIMEOUT_MS = 3_000;
const IDLE_IN_TRANSACTION_MS = 5_000;
const ANSWER_MS = 1_000;

const terminated = (): Error => new Error('Connection terminated unexpectedly');

export const createShardClient = (options: ShardClientOptions): ShardClient => {
  const {process, database, scheduler, random, breakage} = options;
  const open = new Set<Session>();
  /** When a server notices that its client is gone: mostly at once, at the latest when it asks. */
  const abandon = (session: Session): void => {
    open.delete(session);
    scheduler.after(random.skewed(0, IDLE_IN_TRANSACTION_MS), () => session.end('08006', 'connection to client lost'));
  };
  process.onDeath(() => {
    for (const session of [...open]) abandon(session);
  });

  const createConnection = (session: Session): Connection => {
    const waiting = new Set<(error: Error) => void>();
    let isCut = false;
    /** Nothing arrives any more. What the client cut arrives: it had been sent. */
    let isBroken = false;
    let arrivesAtMs = 0;
    open.add(session);
    const cut = (): void => {
      if (isCut) return;
      isCut = true;
      abandon(session);
      for (const reject of [...waiting]) reject(terminated());
    };
    const send = <T>(work: () => Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        if (isCut) {
          reject(terminated());
          return;
        }
        waiting.add(reject);
        const settle = (outcome: () => void): void => {
          process.after(random.skewed(0.1, 10), () => {
            if (waiting.delete(reject)) outcome();
          });
        };
        const breaks = random.chance(breakage()) ? random.pick(['on the way there', 'on the way back']) : undefined;
        arrivesAtMs = Math.max(arrivesAtMs, scheduler.now() + random.skewed(0.1, 10));
        scheduler.after(arrivesAtMs - scheduler.now(), () => {
          if (isBroken) return;
          if (breaks === 'on the way there') {
            isBroken = true;
            if (process.isAlive()) cut();
            return;
          }
          work().then(
            (value) => {
              if (breaks !== undefined && process.isAlive()) cut();
              else settle(() => resolve(value));
            },
            (error: unknown) => settle(() => reject(error instanceof Error ? error : new Error(String(error)))),
          );
        });
      });
    return {
      query: (statement) => send(() => session.run(statement)),
      commit: () => send(() => session.commit()),
      cut,
      close() {
        open.delete(session);
        if (!isCut) session.rollback();
      },
    };
  };

  const connect = (): Promise<Connection> =>
    new Promise((resolve, reject) => {
      const giveUp = process.after(CONNECT_TIMEOUT_MS, () =>
        reject(new Error('timeout exceeded when trying to connect')),
      );
      process.after(random.skewed(0.1, 10), () => {
        void database.awake().then(() => {
          if (!process.isAlive()) return;
          giveUp();
          try {
            resolve(createConnection(database.open(process.name)));
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        });
      });
    });

  const ask: ShardClient['ask'] = async (statement) => {
    const connection = await connect();
    try {
      const answer = connection.query(statement);
      const [value] = await Promise.all([answer, connection.commit()]);
      return value;
    } finally {
      connection.close();
    }
  };

  return {
    connect,
    ask,
    answers: () =>
      new Promise((resolve) => {
        const giveUp = process.after(ANSWER_MS, () => resolve(false));
        const answer = (isHeard: boolean): void => {
          giveUp();
          resolve(isHeard);
        };
        ask(() => undefined).then(
          () => answer(true),
          () => answer(false),
        );
      }),
  };
};
