import {type Command} from '../commands/commands.ts';
import {type Shards} from '../shards/shards.ts';
import {listPages, type PageOf} from './device-pages.ts';

/** A command with its end, for people. */
export interface PastCommand extends Command {
  readonly doneAt: Date | null;
}

/** Where a page of commands ends; the next starts before it. */
export interface CommandCursor {
  readonly createdAtMs: number;
  readonly commandId: string;
}

const COLUMNS = 'command_id, request_id, type, params, priority, created_at, expires_at, delivered_at';
/** Cursors are in milliseconds. */
const CREATED = `date_trunc('milliseconds', c.created_at)`;

/** Every command that devices were ever given, open or not, newest first. */
export const listCommands = (
  shards: Shards,
  pages: readonly PageOf<CommandCursor>[],
  limit: number,
): Promise<readonly (readonly PastCommand[])[]> =>
  listPages<PastCommand, CommandCursor>(shards, pages, limit, {
    name: 'commands-pages',
    columns: `r.command_id as "commandId", r.request_id as "requestId", r.type, r.params, r.priority, r.created_at as "createdAt",
              r.expires_at as "expiresAt", r.delivered_at as "deliveredAt", r.done_at as "doneAt"`,
    cursor: [
      // Far ahead: the year 2255, exact in a double.
      {name: 'created_ms', type: 'float8', of: ({createdAtMs}) => createdAtMs, end: 9_007_199_254_740},
      {
        name: 'command_id',
        type: 'uuid',
        of: ({commandId}) => commandId,
        end: '00000000-0000-0000-0000-000000000000',
      },
    ],
    rows: (most) => `select * from (
                       select ${COLUMNS}, null::timestamptz as done_at from device_command where device_key = n.device_key
                       union all
                       select ${COLUMNS}, done_at from device_command_closed where device_key = n.device_key) c
                     where (${CREATED}, c.command_id) < (to_timestamp(n.created_ms / 1000), n.command_id)
                     order by ${CREATED} desc, c.command_id desc limit ${most}`,
    order: `date_trunc('milliseconds', r.created_at) desc, r.command_id desc`,
  });
