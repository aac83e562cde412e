import type {AppError} from '../errors/app-error.ts';
import type {BodyAccount} from './read-body.ts';

/** Memory for bodies, those of requests or of answers. */
export interface BodyRoom {
  bytes(): number;
  /** Whether a body that came now would be refused. */
  isFull(): boolean;
  /** For one body; what it is asked to hold throws an AppError `overloaded` where there is no room. */
  enter(): HeldBody;
}

export interface HeldBody extends BodyAccount {
  /** To be called when the body is done with; once more does nothing. */
  leave(): void;
}

export interface BodyRoomOptions {
  readonly maxBytes: number;
  /** A body that has not all come, or gone, after so long makes room for others. Without, it has the time that its reader gives it. */
  readonly patienceMs?: number;
  readonly overloaded: () => AppError;
}

interface Arriving {
  readonly since: number;
  drop: (reason: AppError) => void;
}

export const createBodyRoom = ({maxBytes, patienceMs = Infinity, overloaded}: BodyRoomOptions): BodyRoom => {
  let total = 0;
  /** Those of which something came, the oldest first. */
  const arriving = new Set<Arriving>();
  const slowest = (): Arriving | undefined => {
    const [oldest] = arriving;
    return oldest !== undefined && performance.now() - oldest.since > patienceMs ? oldest : undefined;
  };
  return {
    bytes: () => total,
    isFull: () => total >= maxBytes && slowest() === undefined,
    enter() {
      let bytes = 0;
      const release = (): void => {
        arriving.delete(own);
        total -= bytes;
        bytes = 0;
      };
      const own: Arriving = {since: performance.now(), drop: release};
      return {
        arrives(refuse) {
          own.drop = (reason) => {
            release();
            refuse(reason);
          };
        },
        holds(now) {
          if (bytes === 0 && now > 0) arriving.add(own);
          // A single body is never too much.
          while (now > bytes && total > bytes && total - bytes + now > maxBytes) {
            const slow = slowest();
            if (slow === undefined || slow === own) throw overloaded();
            slow.drop(overloaded());
          }
          total += now - bytes;
          bytes = now;
        },
        arrived() {
          arriving.delete(own);
        },
        leave: release,
      };
    },
  };
};
