import {type Percentiles, Latency} from '@pisync/agent/fleet/latency';
import {type HttpAnswer, type HttpConnection} from '../../http-connection.ts';
import {spreadOf} from '../../measure.ts';
import {type TimelineSecond} from '../report.ts';
import {type Connections} from './connections.ts';

export interface Calls {
  readonly count: number;
  /** When call `n` is due, in milliseconds from the start; never less than that of the call before. */
  readonly dueMs: (n: number) => number;
  readonly send: (n: number, connection: HttpConnection) => Promise<HttpAnswer>;
  readonly accepted: (n: number, answer: HttpAnswer) => void;
}

export interface LoopParts {
  readonly connections: Connections;
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly random: () => number;
}

export interface LoopResult {
  readonly done: number;
  readonly failed: number;
  readonly retries: number;
  /** From the first due time to the last 2xx. */
  readonly seconds: number;
  /** From when it was due until the load generator had the time, and a connection, to send it. Part of {@link accept}. */
  readonly sent: Percentiles;
  readonly accept: Percentiles;
  readonly timeline: readonly TimelineSecond[];
  /** Calls that were tried again or given up, by what went wrong. */
  readonly troubles: Readonly<Record<string, number>>;
}

/** After the last one was due. */
const GIVE_UP_MS = 60_000;
/** What the region's policy asks devices for is minutes; a benchmark has seconds. */
const COME_BACK_MS = {least: 100, most: 300};
const SECOND_MS = 1000;

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
const rounded = (ms: number): number => Math.round(ms * 10) / 10;

/**
 * Open loop: calls are sent when they are due, whether earlier ones were answered or not, and time counts from when one was due. One that is turned away or
 * loses its connection is tried again.
 */
export const runOpenLoop = async (calls: Calls, parts: LoopParts): Promise<LoopResult> => {
  const {connections, nowMs, sleep, random} = parts;
  const [sent, accept] = [new Latency(), new Latency()];
  const waitsBySecond: number[][] = [];
  const dueBySecond: number[] = [];
  const doneBySecond: number[] = [];
  const troubles = new Map<string, number>();
  let [done, failed, retries, lastMs] = [0, 0, 0, 0];
  const startMs = nowMs();
  const lastDueMs = calls.count === 0 ? 0 : calls.dueMs(calls.count - 1);
  const giveUpMs = startMs + lastDueMs + GIVE_UP_MS;

  const trouble = (what: string): void => void troubles.set(what, (troubles.get(what) ?? 0) + 1);
  const attempt = async (n: number, isFirst: boolean): Promise<HttpAnswer | undefined> => {
    let connection: HttpConnection | undefined;
    try {
      connection = await connections.take();
      if (isFirst) sent.record(nowMs() - startMs - calls.dueMs(n));
      const answer = await calls.send(n, connection);
      connections.giveBack(connection);
      if (answer.status >= 200 && answer.status < 300) return answer;
      trouble(`HTTP ${answer.status}`);
    } catch (error) {
      if (connection !== undefined) connections.drop(connection);
      trouble(error instanceof Error ? error.message : String(error));
    }
    return undefined;
  };
  const count = (bySecond: number[], ms: number): void => {
    const second = Math.floor(ms / SECOND_MS);
    bySecond[second] = (bySecond[second] ?? 0) + 1;
  };
  const make = async (n: number): Promise<void> => {
    const dueMs = calls.dueMs(n);
    count(dueBySecond, dueMs);
    for (let isFirst = true; ; isFirst = false) {
      const answer = await attempt(n, isFirst);
      const atMs = nowMs() - startMs;
      if (answer !== undefined) {
        done += 1;
        lastMs = atMs;
        accept.record(atMs - dueMs);
        (waitsBySecond[Math.floor(dueMs / SECOND_MS)] ??= []).push(atMs - dueMs);
        count(doneBySecond, atMs);
        calls.accepted(n, answer);
        return;
      }
      if (nowMs() > giveUpMs) {
        failed += 1;
        return;
      }
      retries += 1;
      await sleep(COME_BACK_MS.least + random() * (COME_BACK_MS.most - COME_BACK_MS.least));
    }
  };

  const running: Promise<void>[] = [];
  for (let n = 0; n < calls.count;) {
    const elapsedMs = nowMs() - startMs;
    while (n < calls.count && calls.dueMs(n) <= elapsedMs) running.push(make(n++));
    if (n < calls.count) await sleep(Math.max(0, calls.dueMs(n) - (nowMs() - startMs)));
  }
  await Promise.all(running);

  const seconds = Math.max(dueBySecond.length, doneBySecond.length);
  const timeline = Array.from({length: seconds}, (_, second): TimelineSecond => {
    const waits = (waitsBySecond[second] ?? []).toSorted((a, b) => a - b);
    return {
      second,
      due: dueBySecond[second] ?? 0,
      done: doneBySecond[second] ?? 0,
      p50Ms: rounded(waits.length === 0 ? 0 : spreadOf(waits).median),
      p99Ms: rounded(percentile(waits, 0.99)),
    };
  });
  return {
    done,
    failed,
    retries,
    seconds: lastMs / SECOND_MS,
    sent: sent.percentiles,
    accept: accept.percentiles,
    timeline,
    troubles: Object.fromEntries([...troubles].toSorted(([, a], [, b]) => b - a).slice(0, 10)),
  };
};
