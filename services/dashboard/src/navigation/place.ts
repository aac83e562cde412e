/** Where a reader was in a list: kept in the browser's history entry, so that Back shows the same rows again. */
export interface Place {
  readonly scrollPx: number;
  /** Index of the row that was visited last. */
  readonly row: number;
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;

/** The place in a history entry's state, which may be of anybody: other releases of this page write there too. */
export const placeOf = (state: unknown): Place | undefined => {
  if (typeof state !== 'object' || state === null || !('place' in state)) return undefined;
  const {place} = state;
  if (typeof place !== 'object' || place === null || !('scrollPx' in place) || !('row' in place)) return undefined;
  const {scrollPx, row} = place;
  return isCount(scrollPx) && isCount(row) ? {scrollPx, row: Math.floor(row)} : undefined;
};

/** The place where a list of so many rows, so high, still has it; else the reader begins at its top. */
export const placeWithin = (place: Place | undefined, rows: number, heightPx: number): Place | undefined =>
  place !== undefined && place.row < rows && place.scrollPx < heightPx ? place : undefined;
