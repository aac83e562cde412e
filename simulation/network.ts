/** The way between devices and device-api: requests and answers may be lost, late, or come twice, and answers may be those to other calls. */
import {type HttpReply} from '@pisync/agent/client/answer';
import {type Call, type Transport} from '@pisync/agent/client/transport';
import {type DeviceApi} from './processes/device-api.ts';
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
  /** A mistake that devices make with an answer, see Mutant. */
  readonly mistake?: Mutant['reply'];
}

const TIMEOUT_MS = 15_000;
/** How late the second copy of a request may come: some proxies try again. */
const LATEST_COPY_MS = 60_000;
/** Answers that a cache or a mixed-up connection may still have. */
const MOST_PAST = 50;

export const createNetwork = ({scheduler, random, servers, faults, mistake}: NetworkOptions) => {
  const past: HttpReply[] = [];
  return (process: Process): Transport => {
    const arrive = (call: Call, answer: (reply: HttpReply) => void): void => {
      const [first] = servers();
      if (first === undefined) {
        answer({kind: 'failed', code: 'ECONNREFUSED'});
        return;
      }
      const server = random.pick(servers());
      server.process.onDeath(() => answer({kind: 'failed', code: 'ECONNRESET'}));
      void server.handle(call).then(answer);
    };
    return (call) =>
      new Promise((resolve) => {
        if (call.headers['content-encoding'] !== undefined)
          throw new Error('zlib works in threads whose time is not ours');
        const {lost, doubled, mixed, slowMs} = faults();
        let isAnswered = false;
        const answer = (reply: HttpReply): void => {
          if (isAnswered) return;
          isAnswered = true;
          resolve(reply);
        };
        process.after(TIMEOUT_MS, () => answer({kind: 'failed', code: 'ETIMEDOUT'}));
        if (random.chance(doubled)) {
          scheduler.after(random.skewed(1, LATEST_COPY_MS), () => arrive(call, () => undefined));
        }
        if (random.chance(lost)) return;
        const isAnswerLost = random.chance(lost);
        scheduler.after(random.skewed(1, slowMs), () =>
          arrive(call, (reply) => {
            const given = past.length > 0 && random.chance(mixed) ? random.pick(past) : reply;
            past.push(reply);
            if (past.length > MOST_PAST) past.shift();
            if (isAnswerLost) return;
            process.after(random.skewed(1, slowMs), () => answer(mistake?.(call, given) ?? given));
          }),
        );
      });
  };
};
