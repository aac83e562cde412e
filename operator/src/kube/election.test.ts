import {afterEach, beforeEach, describe, expect, test} from '@jest/globals';
import {pause, type Clock} from './clock.ts';
import {ApiError} from './errors.ts';
import {Election, type ElectionOptions} from './election.ts';
import {FakeClock} from './testing/fake-clock.ts';
import {FakeLeaseServer} from './testing/fake-lease-server.ts';
import {testLog, testMetrics} from './testing/fixtures.ts';

interface Candidate {
  readonly election: Election;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  readonly terms: string[];
  readonly log: ReturnType<typeof testLog>;
}

let clock: FakeClock;
let server: FakeLeaseServer;
const candidates: Candidate[] = [];

beforeEach(() => {
  clock = new FakeClock();
  server = new FakeLeaseServer();
});

afterEach(async () => {
  for (const {stop, ended} of candidates.splice(0)) {
    stop.abort();
    await clock.advance(0);
    await ended;
  }
});

const enter = (identity: string, itsClock: Clock = clock, client: ElectionOptions['client'] = server): Candidate => {
  const terms: string[] = [];
  const log = testLog();
  const election = new Election({
    client,
    clock: itsClock,
    random: () => 0.5,
    log,
    metrics: testMetrics(),
    namespace: 'default',
    name: 'shop',
    identity,
    lead: async (signal) => {
      terms.push('began');
      await new Promise((resolve) => signal.addEventListener('abort', resolve, {once: true}));
      terms.push('ended');
    },
  });
  const stop = new AbortController();
  const candidate = {election, stop, ended: election.run(stop.signal), terms, log};
  candidates.push(candidate);
  return candidate;
};

/** A clock that a test can stop for one candidate: its timers wait, time goes on. */
class StoppableClock implements Clock {
  #isStopped = false;
  #held: (() => void)[] = [];

  now(): Date {
    return clock.now();
  }

  monotonicMs(): number {
    return clock.monotonicMs();
  }

  schedule(delayMs: number, run: () => void): () => void {
    return clock.schedule(delayMs, () => {
      if (this.#isStopped) this.#held.push(run);
      else run();
    });
  }

  stop(): void {
    this.#isStopped = true;
  }

  resume(): void {
    this.#isStopped = false;
    for (const run of this.#held.splice(0)) run();
  }
}

describe('an election', () => {
  test('the first one leads, the second one waits', async () => {
    const a = enter('a');
    await clock.advance(0);
    const b = enter('b');
    await clock.advance(60_000);
    expect([a.election.isLeader, b.election.isLeader]).toEqual([true, false]);
    expect(b.election.mayWriteForMs()).toBe(0);
    expect(b.election.holder).toBe('a');
  });

  test('a leader that gives up is followed within the retry interval, not after the lease', async () => {
    const a = enter('a');
    await clock.advance(0);
    const b = enter('b');
    await clock.advance(20_000);
    a.stop.abort();
    await clock.advance(4_500);
    expect(b.election.isLeader).toBe(true);
    expect(a.terms).toEqual(['began', 'ended']);
    expect(server.holders).toEqual(['a', '', 'b']);
  });

  test.each([
    ['its first write', 0],
    ['a renewal', 1],
  ])('a lease is given up also when its holder stops before it knows that %s was taken', async (_what, answered) => {
    let writes = 0;
    const a = enter('a', clock, {
      send: async (call) => {
        const answer = await server.send(call);
        if (call.method === 'GET' || writes++ !== answered) return answer;
        return new Promise((_resolve, reject) =>
          call.signal.addEventListener('abort', () => reject(new Error('aborted')), {once: true}),
        );
      },
    });
    await clock.advance(3_000);
    expect(server.holders).toEqual(['a']);
    a.stop.abort();
    await clock.advance(0);
    await a.ended;
    expect(server.holders).toEqual(['a', '']);
  });

  test('a candidate whom a webhook does not let lead says so, with whatever status', async () => {
    const said = 'admission webhook "w.example.com" denied the request: no leases';
    const a = enter('a', clock, {
      send: (call) =>
        call.method === 'GET'
          ? server.send(call)
          : Promise.reject(new ApiError(`POST /leases: 409 ${said}`, {status: 409, reason: 'Conflict', said})),
    });
    await clock.advance(0);
    expect(a.election.isLeader).toBe(false);
    expect(a.log.lines).toEqual([expect.stringContaining('no leases')]);
  });

  test('a leader that cannot renew stops writing 10 s after its last renewal, before anybody can follow it', async () => {
    const a = enter('a');
    await clock.advance(4_000);
    server.isDown = true;
    await clock.advance(9_000);
    expect(a.election.mayWriteForMs()).toBeGreaterThan(0);
    await clock.advance(3_000);
    expect(a.election.mayWriteForMs()).toBeLessThanOrEqual(0);
    expect(a.terms).toEqual(['began', 'ended']);
    server.isDown = false;
    await clock.advance(5_000);
    expect(a.election.isLeader).toBe(true);
    expect(a.terms).toEqual(['began', 'ended', 'began']);
  });

  test('a leader that was frozen may not write when it wakes, and learns who leads now', async () => {
    const frozen = new StoppableClock();
    const a = enter('a', frozen);
    await clock.advance(1_000);
    const b = enter('b');
    await clock.advance(5_000);
    frozen.stop();
    await clock.advance(30_000);
    expect(b.election.isLeader).toBe(true);
    // The very first thing after waking, before any timer of its own ran:
    expect(a.election.mayWriteForMs()).toBeLessThanOrEqual(0);
    frozen.resume();
    await clock.advance(100);
    expect(a.election.isLeader).toBe(false);
    expect(a.terms).toEqual(['began', 'ended']);
    expect(server.holders).toEqual(['a', 'b']);
  });

  test('a leader whose connection dies keeps the lease over another one', async () => {
    const answers: ('never' | 'late')[] = [];
    const a = enter('a', clock, {
      send: async (call) => {
        const next = answers.shift();
        if (next === 'never') {
          await pause(clock, call.timeoutMs ?? 0, call.signal);
          throw new Error('no answer');
        }
        if (next === 'late') await pause(clock, 2_000, call.signal);
        return server.send(call);
      },
    });
    await clock.advance(1_000);
    answers.push('never', 'late');
    for (let tenth = 0; tenth < 150; tenth++) {
      await clock.advance(100);
      expect(a.election.isLeader).toBe(true);
    }
    expect(answers).toEqual([]);
    expect(a.terms).toEqual(['began']);
  });

  test('a leader that was frozen begins a new term, even if the lease is still its own', async () => {
    const a = enter('a');
    await clock.advance(1_000);
    clock.freeze(30_000);
    await clock.advance(100);
    expect(a.election.isLeader).toBe(true);
    expect(a.terms).toEqual(['began', 'ended', 'began']);
    expect(server.holders).toEqual(['a']);
  });

  test('a leader whose work breaks gives the lease up and ends', async () => {
    const election = new Election({
      client: server,
      clock,
      random: () => 0.5,
      log: testLog(),
      metrics: testMetrics(),
      namespace: 'default',
      name: 'shop',
      identity: 'broken',
      lead: () => Promise.reject(new Error('bug')),
    });
    const ended = expect(election.run(new AbortController().signal)).rejects.toThrow('the work of the leader broke');
    await clock.advance(5_000);
    await ended;
    expect(server.holders).toEqual(['broken', '']);
  });

  test('a lease that changes is never taken, however wrong the clocks in it are', async () => {
    const a = enter('a');
    await clock.advance(0);
    const b = enter('b');
    for (let second = 0; second < 60; second++) {
      await clock.advance(1_000);
      // The leader's wall clock is a year behind.
      const spec = {...server.lease?.spec, holderIdentity: 'a', renewTime: '2025-01-01T00:00:00.000000Z'};
      if (server.lease !== undefined) server.lease = {...server.lease, spec};
    }
    expect([a.election.isLeader, b.election.isLeader]).toEqual([true, false]);
  });

  test('never two leaders, with three candidates and a server that comes and goes', async () => {
    const three = ['a', 'b', 'c'].map((name) => enter(name));
    for (let second = 0; second < 300; second++) {
      server.isDown = Math.floor(second / 13) % 3 === 1;
      await clock.advance(1_000);
      expect(three.filter(({election}) => election.isLeader).length).toBeLessThanOrEqual(1);
    }
    expect(server.holders.length).toBeGreaterThan(0);
  });
});
