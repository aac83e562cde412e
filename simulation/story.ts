import {createHash} from 'node:crypto';

/** What happened, in words. Written only when somebody reads it: a run in bulk is silent. */
export interface Story {
  say(who: string, what: () => string): void;
  readonly lines: readonly string[];
  hash(): string;
}

export const createStory = (isTold: boolean, now: () => number): Story => {
  const lines: string[] = [];
  return {
    say(who, what) {
      if (isTold) lines.push(`${formatTime(now())}  ${who.padEnd(13)} ${what()}`);
    },
    lines,
    hash: () => createHash('sha256').update(lines.join('\n')).digest('hex'),
  };
};

/** Hours, minutes, seconds and milliseconds since the world began. */
const formatTime = (ms: number): string => {
  const whole = Math.floor(ms);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${two(whole / 3_600_000)}:${two((whole / 60_000) % 60)}:${two((whole / 1000) % 60)}.${String(whole % 1000).padStart(3, '0')}`;
};
