import {type Obstacle} from './reflector.ts';

/** For how long something of a namespace may be out of sight before it is said of the resources there. A refusal ends by itself less often. */
const UNSEEN_MS = {refused: 20_000, unanswered: 120_000};

/** What keeps a resource from being worked on. */
export type Unseen = Obstacle & {readonly label: string};

export interface Patience {
  /** What has been in the way for too long to keep quiet about it. */
  readonly problems: readonly string[];
  /** When to look again, unless it is over before. What has not been answered may have become a refusal by then. */
  readonly againMs: number;
}

/** `askedMs`: since when the server can be asked again, by this process as the leader. While nobody could be, nothing was in the way of anything. */
export const patienceWith = (obstacles: readonly Unseen[], askedMs: number, nowMs: number): Patience => {
  const patient = obstacles.map(({isRefused, sinceMs, label, message}) => ({
    leftMs: Math.max(sinceMs, askedMs) + (isRefused ? UNSEEN_MS.refused : UNSEEN_MS.unanswered) - nowMs,
    problem: `${label} is not seen: ${message}`,
  }));
  const problems = patient.flatMap(({leftMs, problem}) => (leftMs > 0 ? [] : [problem]));
  const againMs =
    problems.length > 0 ? UNSEEN_MS.unanswered : Math.min(UNSEEN_MS.refused, ...patient.map(({leftMs}) => leftMs));
  return {problems, againMs};
};
