/** Redis: what it is told it may hear late, forget, or not hear at all. */
import {CACHE_TTL_SECONDS} from '@pisync/core/cache/cache-keys';
import {LONGEST_READ_S} from '@pisync/core/cache/credential-entries';
import {type PositionHint, type PositionHints} from '@pisync/core/cache/position-hint';
import {type Credential} from '@pisync/core/devices/credentials';
import {type CredentialCache} from '@pisync/device-api/credentials/credential-cache';
import {type Process} from './processes/process.ts';
import {type Random} from './random.ts';
import {type Scheduler} from './scheduler.ts';
import {type Story} from './story.ts';

interface Kept<T> {
  readonly value: T;
  readonly untilMs: number;
}

type Facts = {readonly [Fact in keyof PositionHint]?: Kept<NonNullable<PositionHint[Fact]>>};

export interface CacheWorld {
  hintsFor(process: Process): PositionHints;
  credentialsFor(process: Process): CredentialCache;
  /** Forgets everything. */
  flush(): void;
  /** Answers nobody for so long. */
  away(ms: number): void;
  /** The highest position that was ever said of a device, for a mutant that believes it. */
  appliedHint(deviceId: string): PositionHint['applied'];
}

export interface CacheWorldOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly story: Story;
  /** How late a write may be, in milliseconds. */
  readonly latestMs: () => number;
}

const BELIEVED_MS = 600_000;

export const createCacheWorld = ({scheduler, random, story, latestMs}: CacheWorldOptions): CacheWorld => {
  const facts = new Map<string, Facts>();
  const credentials = new Map<string, Kept<Credential | 'changed'>>();
  const listeners = new Map<Process, (deviceId: string) => void>();
  let awayUntilMs = 0;
  const now = scheduler.now;
  const isAway = (): boolean => now() < awayUntilMs;
  const valueOf = <T>(kept: Kept<T> | undefined): T | undefined =>
    kept === undefined || kept.untilMs <= now() ? undefined : kept.value;

  /** As Cache.use: undefined when Redis does not answer in time. */
  const use = async <T>(process: Process, work: () => T): Promise<T | undefined> => {
    await process.pause(random.skewed(0.1, 5));
    if (!isAway()) return work();
    await process.pause(50);
    return undefined;
  };
  /** Arrives by itself, whether the process lives or not. */
  const write = async (process: Process, work: () => void): Promise<void> => {
    scheduler.after(random.skewed(0.1, latestMs()), () => {
      if (!isAway()) work();
    });
    await process.pause(random.skewed(0.1, 5));
  };

  const readHint = (deviceId: string): PositionHint => {
    const {applied, atLeast, accepted, commands} = facts.get(deviceId) ?? {};
    return {
      ...{applied: valueOf(applied), atLeast: valueOf(atLeast)},
      ...{accepted: valueOf(accepted), commands: valueOf(commands)},
    };
  };

  const ttlMs = CACHE_TTL_SECONDS.credential * 1000;
  return {
    hintsFor: (process) => ({
      read: (deviceId) => use(process, () => readHint(deviceId)),
      write: (deviceId, hint) =>
        write(process, () => {
          const untilMs = now() + CACHE_TTL_SECONDS.status * 1000;
          const said = Object.entries(hint).filter(([, value]) => value !== undefined);
          const atLeast = hint.applied && {
            atLeast: {value: hint.applied, untilMs: now() + CACHE_TTL_SECONDS.atLeast * 1000},
          };
          facts.set(deviceId, {
            ...facts.get(deviceId),
            ...Object.fromEntries(said.map(([fact, value]) => [fact, {value, untilMs}])),
            ...atLeast,
          });
        }),
    }),
    credentialsFor(process) {
      process.onDeath(() => listeners.delete(process));
      return {
        find: (deviceId) =>
          use(process, () => {
            const kept = credentials.get(deviceId);
            const credential = valueOf(kept);
            if (kept === undefined || credential === undefined || credential === 'changed') return undefined;
            return {credential, isBelieved: kept.untilMs - now() >= ttlMs - BELIEVED_MS};
          }),
        keep: (credential) =>
          write(process, () => {
            const before = valueOf(credentials.get(credential.deviceId));
            if (before === 'changed') return;
            if (before?.deviceKey === credential.deviceKey && before.epoch > credential.epoch) return;
            credentials.set(credential.deviceId, {value: credential, untilMs: now() + ttlMs});
          }),
        drop: (deviceId) => write(process, () => void credentials.delete(deviceId)),
        invalidate: (deviceId) =>
          write(
            process,
            () => void credentials.set(deviceId, {value: 'changed', untilMs: now() + LONGEST_READ_S * 1000}),
          ),
        announce: (deviceId) =>
          write(process, () => {
            for (const listener of listeners.values()) listener(deviceId);
          }),
        onAnnounced: (listener) => void listeners.set(process, listener),
      };
    },
    flush() {
      story.say('redis', () => 'forgets everything');
      facts.clear();
      credentials.clear();
    },
    away(ms) {
      story.say('redis', () => `is away for ${Math.round(ms)} ms`);
      awayUntilMs = Math.max(awayUntilMs, now() + ms);
    },
    appliedHint: (deviceId) => readHint(deviceId).applied,
  };
};
