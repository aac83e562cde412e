import type {Server} from 'node:http';
import {setImmediate as turn, setTimeout as delay} from 'node:timers/promises';
import type {Sockets} from './track-sockets.ts';

export interface ClosingServer {
  readonly server: Server;
  readonly sockets: Pick<Sockets, 'closeUnused'>;
  /** How many connections and requests have come so far. */
  readonly arrivals: () => number;
  /** For all of it. */
  readonly graceMs: number;
}

/**
 * So long without a request or a connection means that whoever balances load knows. A proxy that does not know yet sends sooner than that
 * under any load worth speaking of.
 */
const QUIET_MS = 1_000;
/** Of the event loop: one to accept a connection, one to read what it brings, one to spare. */
const TURNS = 3;
/** A connection that becomes idle after the close began would stay for its keep-alive time. */
const SWEEP_MS = 50;

/**
 * Closes a server so that no peer loses a request. To close a listening socket or an idle connection resets whatever arrives on it at
 * that moment, so both are closed only after a quiet time, however late the peers learn that they should go elsewhere; a peer that never
 * learns it can hold up the close for half of `graceMs`. Requests that are under way finish, and answers are sent. What is left after `graceMs` is cut.
 */
export const closeQuietly = async ({server, sockets, arrivals, graceMs}: ClosingServer): Promise<void> => {
  const quietMs = Math.min(QUIET_MS, graceMs / 4);
  let seen = -1;
  for (let waitedMs = 0; seen !== arrivals() && waitedMs + quietMs < graceMs / 2; waitedMs += quietMs) {
    seen = arrivals();
    await delay(quietMs);
    // A process that got no CPU in that time has heard nothing either: timers run before sockets are read.
    for (let n = 0; n < TURNS; n++) await turn();
  }
  // Which close() calls. Node's own cuts answers that are written and not yet sent, and spares connections that never carried a request.
  server.closeIdleConnections = () => sockets.closeUnused();
  await new Promise<void>((resolve) => {
    const sweep = setInterval(() => sockets.closeUnused(), SWEEP_MS);
    const cut = setTimeout(() => server.closeAllConnections(), graceMs / 2);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(cut);
      resolve();
    });
  });
};
