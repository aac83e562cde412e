import type {IncomingMessage, Server, ServerResponse} from 'node:http';
import type {Socket} from 'node:net';

/** The open sockets, and a bound on what their peers make us hold: one request each, and together no more than `limits`. */
export interface Sockets {
  readonly open: ReadonlyMap<Socket, unknown>;
  /**
   * The headers of a request have come. False where that of the same connection before it has no answer yet, or one that was not read: whoever
   * sends several at once could make us keep any number, and loses the connection. RFC 9112, 9.3.2, has clients expect that.
   */
  hears(request: IncomingMessage, response: ServerResponse): boolean;
}

export interface SocketLimits {
  /** When there are more, one whose peer keeps us waiting makes room for each new one. */
  readonly crowded: number;
  /** Of answers that were written and not read. When there are more, those that wait longest are cut. */
  readonly maxUnreadBytes: number;
}

/** Whoever opens a connection sends its request at once, whoever began one sends all of it, and whoever is answered reads it. */
const PATIENCE_MS = 1_000;

/** What it does, and since when. */
interface Held {
  readonly since: number;
  /** Undefined until the headers of a request have come. */
  readonly call?: {readonly request: IncomingMessage; readonly response: ServerResponse};
}

/** Its request came and was answered, and it may bring another one. */
const isUnused = ({call}: Held): boolean => call?.response.closed === true && call.request.complete;

const isAtWork = ({call}: Held): boolean => call?.request.complete === true && !call.response.writableEnded;

/**
 * Where there are too many sockets, the oldest goes whose peer keeps us waiting: anybody can open as many as he likes, ask for nothing, or for
 * half of something, or not read what he asked for. Where there is none, those are closed that a proxy keeps and does not use.
 */
export const trackSockets = (server: Server, {crowded, maxUnreadBytes}: SocketLimits): Sockets => {
  /** The one that does the same for longest first. */
  const open = new Map<Socket, Held>();
  const put = (socket: Socket, call?: Held['call']): void => {
    if (socket.destroyed) return;
    // To the end of the map.
    open.delete(socket);
    open.set(socket, {since: performance.now(), ...(call === undefined ? {} : {call})});
  };
  const makeRoom = (): void => {
    if (open.size < crowded) return;
    const patientSince = performance.now() - PATIENCE_MS;
    for (const [socket, held] of open) {
      if (held.since > patientSince) break;
      if (isUnused(held) || isAtWork(held)) continue;
      socket.destroy();
      return;
    }
    server.closeIdleConnections();
    // Those that this spares have begun another request, which is to come in time as the first one.
    for (const [socket, held] of open) if (isUnused(held)) put(socket);
  };
  const unread = new Map<Socket, number>();
  let unreadBytes = 0;
  const forget = (socket: Socket): void => {
    unreadBytes -= unread.get(socket) ?? 0;
    unread.delete(socket);
  };
  const keep = (socket: Socket): void => {
    const bytes = socket.writableLength;
    if (bytes === 0) return;
    unread.set(socket, bytes);
    unreadBytes += bytes;
    for (const slow of unread.keys()) {
      // One alone is never too much.
      if (unreadBytes <= maxUnreadBytes || slow === socket) return;
      forget(slow);
      slow.destroy();
    }
  };
  server.on('connection', (socket: Socket) => {
    makeRoom();
    put(socket);
    socket.once('close', () => open.delete(socket));
  });
  // Nobody hears of a connection that was one too many, but room is made for the next.
  server.on('drop', makeRoom);
  return {
    open,
    hears(request, response) {
      const {socket} = request;
      if (open.get(socket)?.call?.response.closed === false) {
        socket.destroy();
        return false;
      }
      const call = {request, response};
      put(socket, call);
      // All of the answer is written, though not yet sent.
      response.once('prefinish', () => {
        put(socket, call);
        keep(socket);
      });
      response.once('close', () => {
        forget(socket);
        // Else the rest of it is still awaited.
        if (request.complete) put(socket, call);
      });
      return true;
    },
  };
};
