import type {Server} from 'node:http';
import type {Socket} from 'node:net';
import {setTimeout as delay} from 'node:timers/promises';

export interface ClosingServer {
  readonly server: Server;
  readonly sockets: ReadonlySet<Socket>;
  /** How many requests have begun so far. */
  readonly requests: () => number;
  /** For all of it. */
  readonly graceMs: number;
}

/**
 * So long without a request means that whoever balances load knows. A proxy that does not know yet sends sooner than that under any
 * load worth speaking of.
 */
const QUIET_MS = 1_000;
/** A connection that becomes idle after the close began would stay for its keep-alive time. */
const SWEEP_MS = 50;

/**
 * Closes a server so that no peer loses a request. To close a listening socket or an idle connection resets whatever arrives on it at
 * that moment, so both are closed only after a quiet time, however late the peers learn that they should go elsewhere; a peer that never
 * learns it can hold up the close for half of `graceMs`. Requests that are under way finish. What is left after `graceMs` is cut.
 */
export const closeQuietly = async ({server, sockets, requests, graceMs}: ClosingServer): Promise<void> => {
  const quietMs = Math.min(QUIET_MS, graceMs / 4);
  let seen = -1;
  for (let waitedMs = 0; seen !== requests() && waitedMs + quietMs < graceMs / 2; waitedMs += quietMs) {
    seen = requests();
    await delay(quietMs);
  }
  await new Promise<void>((resolve) => {
    const sweep = setInterval(() => closeUnused(server, sockets), SWEEP_MS);
    const cut = setTimeout(() => server.closeAllConnections(), graceMs / 2);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(cut);
      resolve();
    });
    closeUnused(server, sockets);
  });
};

const closeUnused = (server: Server, sockets: ReadonlySet<Socket>): void => {
  server.closeIdleConnections();
  // To node, a connection is idle once it carried a request; one that never did is not.
  for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
};
