import {setTimeout as delay} from 'node:timers/promises';
import {type ChannelModel, connect} from 'amqplib';
import type {Endpoint} from '@pisync/contract/topology';
import {AppError, describeError} from '../errors/app-error.ts';
import {withTimeout} from '../lifecycle/lifecycle.ts';
import type {Logger} from '../telemetry/logger.ts';

export interface BrokerAddress extends Endpoint {
  readonly vhost: string;
  readonly username: string;
  readonly password: string;
}

/** One connection to the broker that comes back by itself. */
export interface BrokerConnection {
  /** The open connection, as soon as there is one. Rejects when `close` was called. */
  ready(): Promise<ChannelModel>;
  /** Why publishing would not work now, or undefined. `blocked` means a memory or disk alarm: confirms do not come. */
  trouble(): string | undefined;
  /** For readiness. @throws AppError `broker-unavailable`. */
  check(): void;
  /** One more connection to the same broker, for what may end it. It does not come back, and the caller closes it. */
  another(): Promise<ChannelModel>;
  readonly closing: AbortSignal;
  close(): Promise<void>;
}

export interface BrokerConnectionOptions {
  /** Asked at every attempt, so that rotated credentials and a moved broker need no restart. */
  readonly address: () => Promise<BrokerAddress>;
  /** Shown in the broker's list of connections. */
  readonly name: string;
  readonly log: Logger;
  readonly random: () => number;
}

/** Seconds. Two missed beats end a dead connection, so a lost node is noticed within half a minute. */
const HEARTBEAT_S = 10;
const CONNECT_TIMEOUT_MS = 5_000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;

/**
 * Connects and keeps connecting. amqplib's own recovery is not used because it repeats the credentials it was first given.
 */
export const openBrokerConnection = ({address, name, log, random}: BrokerConnectionOptions): BrokerConnection => {
  const closing = new AbortController();
  const isClosing = (): boolean => closing.signal.aborted;
  let model: ChannelModel | undefined;
  let blocked: string | undefined;
  let lastError = 'not connected yet';
  let gate = Promise.withResolvers<ChannelModel>();
  gate.promise.catch(() => undefined);

  const connectOnce = async (): Promise<ChannelModel> => {
    const {host, port, vhost, username, password} = await address();
    return connect(
      {protocol: 'amqp', hostname: host, port, vhost, username, password, heartbeat: HEARTBEAT_S},
      // Nagle's algorithm would hold back the end of each message over one segment for 40 ms.
      {noDelay: true, keepAlive: true, timeout: CONNECT_TIMEOUT_MS, clientProperties: {connection_name: name}},
    );
  };

  const serve = async (open: ChannelModel): Promise<void> => {
    const closed = new Promise<void>((resolve) => {
      open.on('error', (error) => {
        lastError = describeError(error);
      });
      // A broker that ends in good order says why here alone.
      open.on('close', (error?: unknown) => {
        if (error !== undefined) lastError = describeError(error);
        resolve();
      });
    });
    open.on('blocked', (reason) => {
      blocked = reason;
      log.warn({reason}, 'the broker blocks publishers');
    });
    open.on('unblocked', () => {
      blocked = undefined;
      log.info({}, 'the broker unblocked publishers');
    });
    model = open;
    gate.resolve(open);
    log.info({name}, 'connected to the broker');
    await closed;
    model = undefined;
    blocked = undefined;
    gate = Promise.withResolvers<ChannelModel>();
    gate.promise.catch(() => undefined);
  };

  const run = async (): Promise<void> => {
    let delayMs = FIRST_DELAY_MS;
    while (!isClosing()) {
      try {
        const open = await connectOnce();
        if (isClosing()) {
          await open.close();
          return;
        }
        delayMs = FIRST_DELAY_MS;
        lastError = 'the connection was closed';
        await serve(open);
        if (!isClosing()) log.warn({reason: lastError}, 'lost the broker');
      } catch (error) {
        lastError = describeError(error);
        log.warn({reason: lastError}, 'cannot connect to the broker');
      }
      // Half fixed, half random: processes that lost the same broker do not return in step.
      await delay(delayMs * (0.5 + random() / 2), undefined, {signal: closing.signal}).catch(() => undefined);
      delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
    }
  };
  const running = run();

  const trouble = (): string | undefined => {
    if (model === undefined) return `no connection: ${lastError}`;
    return blocked === undefined ? undefined : `the broker blocks publishers: ${blocked}`;
  };

  return {
    ready: () => gate.promise,
    trouble,
    check() {
      const reason = trouble();
      if (reason !== undefined) throw new AppError('broker-unavailable', reason);
    },
    another: connectOnce,
    closing: closing.signal,
    async close() {
      closing.abort();
      gate.reject(new AppError('unavailable', 'the broker connection is closed'));
      // A broker that hangs does not answer the close either; the process ends and the socket with it.
      if (model !== undefined) {
        await withTimeout(model.close(), 2_000, 'the broker did not answer the close').catch(() => undefined);
      }
      await withTimeout(running, 2_000, 'the broker connection did not end').catch(() => undefined);
    },
  };
};
