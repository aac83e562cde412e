import type {IncomingMessage, Server, ServerResponse} from 'node:http';
import type {Socket} from 'node:net';
import {longestBodyMs} from './read-body.ts';

/** The open sockets, and a bound on what their peers make us hold: one request each, and together no more than `limits`. */
export interface Sockets {
  /**
   * The headers of a request have come. False where that of the same connection before it has no answer yet, or one that was not read: whoever
   * sends several at once could make us keep any number, and loses the connection. RFC 9112, 9.3.2, has clients expect that.
   */
  hears(response: ServerResponse): boolean;
  /** The response has closed. */
  ends(response: ServerResponse): void;
  /** Closes those that carry nothing, also such as never did. One that has begun another request is spared, and one whose answer is not yet sent. */
  closeUnused(): void;
}

export interface SocketLimits {
  /** When there are more, one whose peer keeps us waiting makes room for each new one. */
  readonly crowded: number;
  /** Of answers that were written and not read. When there are more, those that wait longest are cut. */
  readonly maxUnreadBytes: number;
}

/** Whoever opens a connection sends its request at once, whoever began one sends all of it, and whoever is answered reads it. */
const PATIENCE_MS = 1_000;

/** Answers that are not read in their time are looked for so often. */
const SWEEP_MS = 1_000;

/** What it does, and since when. */
interface Held {
  readonly since: number;
  /**
   * To the request whose headers have come, or `none` until then. Once all of it came and was answered the connection is `unused`: there may be
   * thousands of those, so they keep nothing of their last request.
   */
  readonly response: ServerResponse | 'none' | 'unused';
  /** What had come of it when it became unused, and 0 until then: with more than that it has begun a request. */
  readonly bytesRead: number;
}

const isAtWork = ({response}: Held): boolean =>
  typeof response === 'object' && response.req.complete && !response.writableEnded;

/**
 * Where there are too many sockets, the oldest goes whose peer keeps us waiting: anybody can open as many as he likes, ask for nothing, or for
 * half of something, or not read what he asked for. Where there is none, those are closed that a proxy keeps and does not use.
 */
export const trackSockets = (server: Server, {crowded, maxUnreadBytes}: SocketLimits): Sockets => {
  /** The one that does the same for longest first. */
  const open = new Map<Socket, Held>();
  const put = (socket: Socket, response: Held['response']): void => {
    if (socket.destroyed) return;
    // To the end of the map.
    open.delete(socket);
    open.set(socket, {since: performance.now(), response, bytesRead: response === 'unused' ? socket.bytesRead : 0});
  };
  const closeUnused = (response: 'none' | 'unused'): void => {
    for (const [socket, held] of open) {
      if (held.response !== response) continue;
      if (socket.bytesRead === held.bytesRead) socket.destroy();
      // Another request, which is to come in time as the first one.
      else if (response === 'unused') put(socket, 'none');
    }
  };
  const makeRoom = (): void => {
    if (open.size < crowded) return;
    const patientSince = performance.now() - PATIENCE_MS;
    for (const [socket, held] of open) {
      if (held.since > patientSince) break;
      if (held.response === 'unused' || isAtWork(held)) continue;
      socket.destroy();
      return;
    }
    // Not node's closeIdleConnections(): to that, an answer that is written is over, though it is not yet sent.
    closeUnused('unused');
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
  const cutSlow = (): void => {
    const now = performance.now();
    for (const [socket, bytes] of unread) {
      // From when all of it was written.
      if (now - (open.get(socket)?.since ?? now) < longestBodyMs(bytes)) continue;
      forget(socket);
      socket.destroy();
    }
  };
  const sweep = setInterval(cutSlow, SWEEP_MS).unref();
  server.once('close', () => clearInterval(sweep));
  server.on('connection', (socket: Socket) => {
    makeRoom();
    put(socket, 'none');
    socket.once('close', () => open.delete(socket));
  });
  // Nobody hears of a connection that was one too many, but room is made for the next.
  server.on('drop', makeRoom);
  // Of the response itself, so that a request makes no function of its own: this is the hot path.
  const answered = function (this: ServerResponse): void {
    const {socket} = this.req;
    put(socket, this);
    keep(socket);
  };
  const came = function (this: IncomingMessage): void {
    const response = open.get(this.socket)?.response;
    if (typeof response === 'object' && response.req === this) put(this.socket, 'unused');
  };
  return {
    hears(response) {
      const {socket} = response.req;
      const last = open.get(socket)?.response;
      if (typeof last === 'object' && !last.closed) {
        socket.destroy();
        return false;
      }
      put(socket, response);
      // All of the answer is written, though not yet sent.
      response.on('prefinish', answered);
      return true;
    },
    ends(response) {
      const {req} = response;
      forget(req.socket);
      if (req.complete) put(req.socket, 'unused');
      // The rest of it is still awaited.
      else req.once('end', came);
    },
    closeUnused() {
      closeUnused('unused');
      closeUnused('none');
    },
  };
};
