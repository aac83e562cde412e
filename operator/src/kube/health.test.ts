import {describe, expect, test} from '@jest/globals';
import {LagProbe, liveness, readiness} from './health.ts';
import {FakeClock} from './testing/fake-clock.ts';

test('a process is live while its loop keeps up and no pass hangs', () => {
  expect(liveness(4_999, 239_999, 120_000)).toEqual({ok: true});
  expect(liveness(5_000, 0, 120_000)).toEqual({ok: false, problems: ['the event loop is 5000 ms late']});
  expect(liveness(0, 240_000, 120_000).ok).toBe(false);
});

describe('a process is ready', () => {
  const refused = {label: 'Secret in green', isRefused: true, message: 'forbidden'};
  const waiting = {label: 'Pod in green', isRefused: false, message: 'is not listed yet'};

  test('when it sees all of what it looks after', () => {
    expect(readiness([{obstacles: []}, {obstacles: []}])).toEqual({ok: true});
    expect(readiness([{obstacles: []}, {obstacles: [waiting]}])).toEqual({
      ok: false,
      problems: ['Pod in green: is not listed yet'],
    });
  });

  test('without a namespace that is refused, which it names', () => {
    expect(readiness([{obstacles: []}, {obstacles: [waiting, refused]}])).toEqual({
      ok: true,
      remarks: ['Pod in green: is not listed yet', 'Secret in green: forbidden'],
    });
  });

  test('without an optional kind that it may not see, which it names', () => {
    const remarks = ['HTTPRoute in green counts as not installed: forbidden'];
    expect(readiness([{obstacles: []}, {obstacles: [], remarks}])).toEqual({ok: true, remarks});
    expect(readiness([{obstacles: [waiting], remarks}]).ok).toBe(false);
  });

  test('not when all is refused', () => {
    expect(readiness([{obstacles: [refused]}]).ok).toBe(false);
  });
});

test('the probe sees a blocked loop while it is blocked, just after, and forgets it', async () => {
  const clock = new FakeClock();
  const probe = new LagProbe(clock);
  clock.freeze(20_000);
  expect(probe.lagMs()).toBe(0);
  probe.start();
  await clock.advance(10_000);
  expect(probe.lagMs()).toBe(0);
  clock.freeze(7_000);
  expect(probe.lagMs()).toBe(6_000);
  await clock.advance(0);
  expect(probe.lagMs()).toBe(6_000);
  await clock.advance(1_000);
  expect(probe.lagMs()).toBe(0);
  probe.stop();
});
