import {type AuditActor} from '../audit/audit-entry.ts';
import {writeAudit} from '../audit/write-audit.ts';
import {type Scope} from '../devices/scope.ts';
import {inTransaction} from '../shards/in-transaction.ts';
import {onceMore} from '../shards/once-more.ts';
import {type Shards} from '../shards/shards.ts';

/** A browser's session as the control schema has it. By the sha256 of its id, so that a leaked database lets nobody in. */
export interface StoredSession {
  /** The API token behind it, by sha256 in hex. */
  readonly tokenHash: string;
  readonly expiresAt: Date;
}

/** Who signs in or out. */
export interface SessionActor {
  readonly actor: AuditActor;
  readonly scope: Scope;
}

/** Names a session without being its id, so that one can tell which sign-out belongs to which sign-in. */
const objectOf = (hash: Buffer) => ({kind: 'session', id: hash.toString('hex').slice(0, 16)}) as const;

/** When a token has more, its oldest end: whoever signs in again and again takes no room. */
const MAX_PER_TOKEN = 100;

// All of it asks the primary: a replica may not know yet of a session that was begun a moment ago.

/** Keeps a new session, and removes those that are over. */
export const beginSession = async (
  shards: Shards,
  hash: Buffer,
  {tokenHash, expiresAt}: StoredSession,
  {actor, scope}: SessionActor,
): Promise<void> => {
  await onceMore(() =>
    inTransaction(shards.control('ingest'), async (client) => {
      const begun = await client.query({
        name: 'session-begin',
        // Rows that somebody else is removing are left to him.
        text: `with over as (
               select session_hash from control.session
               where expires_at <= now() or session_hash in (
                 select session_hash from control.session where token_hash = decode($2, 'hex')
                 order by created_at desc offset $4::int - 1)
               for update skip locked),
             removed as (delete from control.session s using over where s.session_hash = over.session_hash)
             insert into control.session (session_hash, token_hash, expires_at) values ($1, decode($2, 'hex'), $3)
             on conflict (session_hash) do nothing`,
        values: [hash, tokenHash, expiresAt, MAX_PER_TOKEN],
      });
      if (begun.rowCount === 1) {
        await writeAudit(client, {actor, action: 'session.begin', object: objectOf(hash), scope, after: {expiresAt}});
      }
    }),
  );
};

/** Undefined when there is none, or it is over. */
export const findSession = async (shards: Shards, hash: Buffer): Promise<StoredSession | undefined> => {
  const found = await onceMore(() =>
    shards.control('ingest').query<StoredSession>({
      name: 'session',
      text: `select encode(token_hash, 'hex') as "tokenHash", expires_at as "expiresAt"
             from control.session where session_hash = $1 and expires_at > now()`,
      values: [hash],
    }),
  );
  return found.rows[0];
};

/** Ends it for every process; one that has just looked at it may take some seconds to notice. */
export const endSession = async (shards: Shards, hash: Buffer, {actor, scope}: SessionActor): Promise<void> => {
  await onceMore(() =>
    inTransaction(shards.control('ingest'), async (client) => {
      const ended = await client.query({
        name: 'session-end',
        text: 'delete from control.session where session_hash = $1',
        values: [hash],
      });
      if (ended.rowCount === 1) await writeAudit(client, {actor, action: 'session.end', object: objectOf(hash), scope});
    }),
  );
};
