import {useCallback, useMemo, useRef} from 'react';
import {type Place, placeOf} from './place.ts';

/** A reader who rests for this long is somewhere. Browsers take some replacements of a history entry a second, not one a frame. */
const SETTLED_MS = 200;

export interface KeptPlace {
  /** Where the reader was when the shown history entry was left, or a moment ago; undefined where it was not read yet. */
  readonly place: () => Place | undefined;
  /** Says how to find out where the reader is; null when the list is gone. */
  readonly keepPlace: (read: (() => Place) | null) => void;
  /** The reader moved: his place is kept once he rests. Back, a reload and the end of the session leave an entry without a warning. */
  readonly notePlace: () => void;
  /** The shown entry is left by a link: the place is kept at once. */
  readonly leavePlace: () => void;
  /** Another entry is shown: what was not kept yet is of the one before. */
  readonly dropPlace: () => void;
}

const write = (place: Place): void => window.history.replaceState({place}, '');

/** Keeps where the reader is in the browser's history entry. */
export const useKeptPlace = (): KeptPlace => {
  const read = useRef<(() => Place) | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  const keepPlace = useCallback<KeptPlace['keepPlace']>((next) => {
    read.current = next;
  }, []);
  const dropPlace = useCallback(() => clearTimeout(timer.current), []);
  const leavePlace = useCallback(() => {
    dropPlace();
    if (read.current !== null) write(read.current());
  }, [dropPlace]);
  const notePlace = useCallback(() => {
    dropPlace();
    const noted = read.current?.();
    if (noted !== undefined) timer.current = setTimeout(() => write(read.current?.() ?? noted), SETTLED_MS);
  }, [dropPlace]);
  const place = useCallback(() => placeOf(window.history.state), []);
  return useMemo(
    () => ({place, keepPlace, notePlace, leavePlace, dropPlace}),
    [place, keepPlace, notePlace, leavePlace, dropPlace],
  );
};
