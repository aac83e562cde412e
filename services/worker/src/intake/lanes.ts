import {describeError} from '@pisync/core/errors/app-error';
import {type Shards} from '@pisync/core/shards/shards';
import {type Lane, type LaneOptions, createLane} from './lane.ts';
import {type Piece} from './parcel.ts';
import {createRefuse, type RefuseOptions} from './refuse.ts';

/** Sends pieces to the lanes of their shards, also those whose slot moved, until each is settled or given back. */
export interface Lanes {
  /** Makes a shard's lane before its first piece; without effect when it is there. */
  open(shardId: number): void;
  dispatch(piece: Piece): void;
  /** By shard. */
  readonly away: () => readonly {readonly shardId: number; readonly isAway: boolean}[];
  /** Resolves when every piece is closed; for after `stopping`. */
  drain(): Promise<void>;
}

export interface LanesOptions
  extends
    Omit<LaneOptions, 'shardId' | 'onRefused' | 'onMoved' | 'onBusy'>,
    Omit<RefuseOptions, 'dispatch' | 'metrics' | 'timers'> {
  readonly slotMap: Pick<Shards['slotMap'], 'shardOf' | 'reload'>;
  /** Called once a shard, before its first piece. */
  readonly onLane: (shardId: number) => void;
}

/** A move's fence lasts milliseconds; a mover that died in it is replaced within half a minute. */
const PAUSE_MS = {first: 50, most: 2_000} as const;
/** Some five seconds: then it is parked, because its delivery holds others up. */
const MAX_RETURNS = 7;

export const createLanes = (options: LanesOptions): Lanes => {
  const {slotMap, park, log, timers, stopping} = options;
  const lanes = new Map<number, Lane>();
  const background = new Set<Promise<void>>();

  const run = (work: Promise<void>): void => {
    const running = work.finally(() => background.delete(running));
    background.add(running);
  };

  const reload = (): Promise<void> =>
    slotMap
      .reload()
      .catch((error: unknown) => log.debug({reason: describeError(error)}, 'the slot map was not read again'));

  const shardOf = (slot: number): number | undefined => {
    try {
      return slotMap.shardOf(slot);
    } catch {
      return undefined;
    }
  };

  const laneOf = (shardId: number): Lane => {
    const known = lanes.get(shardId);
    if (known !== undefined) return known;
    const lane = createLane({
      ...options,
      shardId,
      onRefused: (piece, refusal) => run(refuse(piece, refusal)),
      onMoved: (pieces) => run(goAgain(pieces, reload)),
      onBusy: (pieces) => run(goAgain(pieces)),
    });
    lanes.set(shardId, lane);
    options.onLane(shardId);
    return lane;
  };

  const dispatch = (piece: Piece): void => {
    const shardId = shardOf(piece.batch.slot);
    if (piece.isClosed()) return;
    // What the broker delivers again is not looked after here as well.
    if (stopping.aborted || piece.delivery.isLost()) piece.close('given-back');
    else if (shardId === undefined) run(goAgain([piece], reload));
    else laneOf(shardId).add(piece);
  };

  const refuse = createRefuse({...options, dispatch});

  /** Sends pieces on their way again, after a pause that grows with every time; first they may look for the owner of their slots. */
  const goAgain = async (pieces: readonly Piece[], look?: () => Promise<void>): Promise<void> => {
    const returns = Math.max(...pieces.map((piece) => piece.returns));
    // Before the map was read nothing can be applied, so nothing is held up either.
    const isKnown = pieces.every(({batch}) => shardOf(batch.slot) !== undefined);
    const homeless = isKnown && returns >= MAX_RETURNS ? await park(pieces, undefined) : pieces;
    if (homeless.length === 0) return;
    await timers.sleep(Math.min(PAUSE_MS.first * 2 ** returns, PAUSE_MS.most), stopping);
    if (!stopping.aborted) await look?.();
    for (const piece of homeless) dispatch({...piece, returns: piece.returns + 1});
  };

  return {
    open: laneOf,
    dispatch,
    away: () => Array.from(lanes, ([shardId, lane]) => ({shardId, isAway: lane.isAway()})),
    async drain() {
      await Promise.all(Array.from(lanes.values(), (lane) => lane.drain()));
      // What they handed back is given back by now or soon: nothing is dispatched any more.
      await Promise.all(background);
    },
  };
};
