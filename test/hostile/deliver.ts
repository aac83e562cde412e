import {connect, type Socket} from 'node:net';
import {setTimeout as pause} from 'node:timers/promises';
import type {HostileCall, Outcome, Step} from './hostile-call.ts';

/** After an answer the connection may be kept: so long without another one is the end. */
const SETTLED_MS = 400;

/** Statuses of answers as they come, without those that only ask for more (1xx). */
const createReader = () => {
  const statuses: number[] = [];
  let rest = '';
  return {
    statuses,
    read(chunk: Buffer): void {
      const text = rest + chunk.toString('latin1');
      for (const [, status] of text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)) statuses.push(Number(status));
      // A status line may be cut anywhere, and none is seen twice.
      const at = text.lastIndexOf('HTTP/1.1 ');
      rest = at >= 0 && text.length - at < 13 ? text.slice(at) : text.slice(-8).replace(/.*\d\d\d $/, '');
    },
  };
};

const carryOut = async (step: Step, socket: Socket, over: AbortSignal): Promise<void> => {
  const write = async (bytes: Buffer): Promise<void> => {
    if (socket.writable && !socket.write(bytes)) {
      await new Promise<void>((resolve) => socket.once('drain', resolve).once('close', () => resolve()));
    }
  };
  switch (step.do) {
    case 'send':
      await write(step.bytes);
      return;
    case 'repeat':
      while (!over.aborted) {
        await write(step.bytes);
        await pause(step.everyMs);
      }
      return;
    case 'drip':
      for (let at = 0; at < step.bytes.length && !over.aborted; at++) {
        await write(step.bytes.subarray(at, at + 1));
        await pause(step.everyMs);
      }
      return;
    case 'end':
      socket.end();
      return;
    case 'reset':
      socket.resetAndDestroy();
      return;
    case 'deafen':
      socket.pause();
  }
};

/** Makes the call over a connection of its own. */
export const deliver = (port: number, {steps, expects}: HostileCall): Promise<Outcome> =>
  new Promise((resolve) => {
    const reader = createReader();
    const over = new AbortController();
    const socket = connect({port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true});
    let timer: NodeJS.Timeout | undefined;
    let last: NodeJS.Immediate | undefined;
    const finish = (end: Outcome['end']): void => {
      if (over.signal.aborted) return;
      over.abort();
      clearTimeout(timer);
      clearImmediate(last);
      socket.destroy();
      resolve({statuses: reader.statuses, end});
    };
    const wait = (ms: number): void => {
      clearTimeout(timer);
      clearImmediate(last);
      timer = setTimeout(() => {
        // What came meanwhile is read first: this process may be the one that had no time.
        last = setImmediate(() => finish('left'));
      }, ms);
    };
    socket.on('data', (chunk) => {
      reader.read(chunk);
      if (reader.statuses.length > 0) wait(SETTLED_MS);
    });
    socket.on('error', () => undefined);
    socket.on('end', () => finish('closed'));
    socket.on('close', () => finish('closed'));
    socket.on('connect', () => {
      wait(expects.patienceMs);
      void (async () => {
        for (const step of steps) await carryOut(step, socket, over.signal);
      })();
    });
  });
