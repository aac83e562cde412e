/**
 * The way between devices and device-api: requests and answers may be lost, late, or come twice, answers may be those to other calls, and large bodies may
 * be too slow, or too large for a proxy.
 */
import {type HttpReply} from '@pisync/agent/client/answer';
import {type Call, type Transport} from '@pisync/agent/client/transport';
import {type DeviceApi, REGION} from './processes/device-api.ts';
import {type Process} from './processes/process.ts';
import {type Mutant} from './mutants/mutant.ts';
import {type Random} from './random.ts';
import {type Scheduler} from './scheduler.ts';

export interface NetworkOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** Those that live. */
  readonly servers: () => readonly DeviceApi[];
  readonly faults: () => {
    readonly lost: number;
    readonly doubled: number;
    readonly mixed: number;
    readonly slowMs: number;
  };
  /** What the way lets through. It only ever gets less, so a late copy of what was refused is refused too. */
  readonly ways: () => Ways;
  /** A copy of the call came through, and the call itself is too large since. No page says so, so the device takes its number for free. */
  readonly onMisled: (call: Call) => void;
  /** A mistake that devices make with an answer, see Mutant. */
  readonly mistake?: Mutant['reply'];
}

export interface Ways {
  /** Of more records not all come in time, which the region answers. */
  readonly inTime: number;
  /** More records are too large for a proxy. */
  readonly allowed: number;
  /** Of more records a proxy drops the call, and says nothing. */
  readonly unsaid: number;
}

const TIMEOUT_MS = 15_000;
/** How late the second copy of a request may come: some proxies try again. */
const LATEST_COPY_MS = 60_000;
/** Answers that a cache or a mixed-up connection may still have. */
const MOST_PAST = 50;

const PAGE = '<html>too large</html>';

/** The answer to what does not come through. */
const refusal = ({path, baseUrl, body}: Call, {inTime, allowed, unsaid}: Ways): HttpReply | undefined => {
  const {pathname, searchParams} = new URL(path, baseUrl);
  if (pathname !== '/v1/sync') return undefined;
  // A body that a device made.
  const {records = []} = JSON.parse(body?.toString() ?? '{}') as {records?: unknown[]};
  if (records.length > unsaid) return {kind: 'failed', code: 'ECONNRESET'};
  if (records.length > allowed) return {kind: 'reply', status: 413, retryAfter: undefined, body: PAGE};
  if (records.length <= inTime) return undefined;
  const problem = {type: 'urn:pisync:problem:request-timeout', code: 'request-timeout', region: REGION};
  return {
    ...{kind: 'reply', status: 408, retryAfter: undefined},
    body: JSON.stringify({...problem, nonce: searchParams.get('nonce')}),
  };
};

export const createNetwork = ({scheduler, random, servers, faults, ways, onMisled, mistake}: NetworkOptions) => {
  const past: HttpReply[] = [];
  return (process: Process): Transport => {
    /** @returns whether it came through to a server */
    const arrive = (call: Call, answer: (reply: HttpReply) => void): boolean => {
      const [first] = servers();
      if (first === undefined) {
        // Of a proxy: of a connection that was never made there is no late copy.
        answer({kind: 'failed', code: 'UND_ERR_SOCKET'});
        return false;
      }
      const refused = refusal(call, ways());
      if (refused !== undefined) {
        answer(refused);
        return false;
      }
      const server = random.pick(servers());
      server.process.onDeath(() => answer({kind: 'failed', code: 'ECONNRESET'}));
      void server.handle(call).then(answer);
      return true;
    };
    return (call) =>
      new Promise((resolve) => {
        if (call.headers['content-encoding'] !== undefined)
          throw new Error('zlib works in threads whose time is not ours');
        const {lost, doubled, mixed, slowMs} = faults();
        let isAnswered = false;
        let isCopyThrough = false;
        const answer = (reply: HttpReply): void => {
          if (isAnswered) return;
          isAnswered = true;
          resolve(reply);
        };
        process.after(TIMEOUT_MS, () => answer({kind: 'failed', code: 'ETIMEDOUT'}));
        if (random.chance(doubled)) {
          scheduler.after(random.skewed(1, LATEST_COPY_MS), () => {
            isCopyThrough = arrive(call, () => undefined);
          });
        }
        if (random.chance(lost)) return;
        const isAnswerLost = random.chance(lost);
        scheduler.after(random.skewed(1, slowMs), () =>
          arrive(call, (reply) => {
            // A page of a proxy names no call, so nobody could tell that it is that to another one; and no cache keeps it.
            const isPage = reply.kind === 'reply' && reply.body === PAGE;
            const given = !isPage && past.length > 0 && random.chance(mixed) ? random.pick(past) : reply;
            if (!isPage) past.push(reply);
            if (past.length > MOST_PAST) past.shift();
            if (isAnswerLost) return;
            if (isPage && isCopyThrough) onMisled(call);
            process.after(random.skewed(1, slowMs), () => answer(mistake?.(call, given) ?? given));
          }),
        );
      });
  };
};
