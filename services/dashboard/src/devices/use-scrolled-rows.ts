import {type RefObject, useCallback, useLayoutEffect, useMemo, useRef, useState} from 'react';
import {flushSync} from 'react-dom';
import {placeAfterScroll, placeAt, placeIn, positionOf, type ScrollPlace, scrollScale} from './scroll-scale.ts';

/** Rows beyond both ends of what is seen that are drawn as well, so that a movement finds them there. */
const SPARE_ROWS = 12;

interface RowsOptions {
  readonly count: number;
  readonly rowPx: number;
  /** Of the head, which scrolls with the rows until it sticks: rows begin below it, and it covers what is at the top. */
  readonly headPx: number;
  /** Where to begin. */
  readonly positionPx: number;
}

export interface ScrolledRows {
  /** For the element that scrolls. */
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly onScroll: () => void;
  /** The rows to draw: from `first` up to, without, `end`. */
  readonly first: number;
  readonly end: number;
  /** The first that is wholly below the head. */
  readonly firstSeen: number;
  /** Height of the element that has the rows. */
  readonly bodyPx: number;
  /** Where a row begins in it. */
  readonly topOf: (row: number) => number;
  /** Of what is at the top now, to begin there another time. */
  readonly positionPx: () => number;
  /** Scrolls as little as shows the whole row. */
  readonly scrollTo: (row: number) => void;
}

/** Which of many rows of one height are on the screen, however many there are. */
export const useScrolledRows = ({count, rowPx, headPx, positionPx}: RowsOptions): ScrolledRows => {
  const scroller = useRef<HTMLDivElement>(null);
  const scale = useMemo(() => scrollScale(headPx + count * rowPx), [headPx, count, rowPx]);
  const [viewPx, setViewPx] = useState(0);
  const [place, setPlace] = useState<ScrollPlace>(() => placeAt(scale, 0, positionPx));
  // Scroll events come between two drawings, each goes on from the one before.
  const current = useRef(place);
  const show = (next: ScrollPlace): void => {
    current.current = next;
    setPlace(next);
  };

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setViewPx(element.clientHeight));
    setViewPx(element.clientHeight);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const drawnScale = useRef(scale);
  useLayoutEffect(() => {
    if (drawnScale.current === scale) return;
    drawnScale.current = scale;
    show(placeIn(scale, current.current));
  }, [scale]);

  useLayoutEffect(() => {
    const element = scroller.current;
    // What differs by less is the browser's rounding; to set it would end a movement that is under way.
    if (element !== null && Math.abs(element.scrollTop - place.scrollPx) > 1) element.scrollTop = place.scrollPx;
  }, [place]);

  const position = positionOf(place);
  const currentPx = useCallback(() => positionOf(current.current), []);
  return {
    scroller,
    onScroll: () => {
      const element = scroller.current;
      if (element === null) return;
      const before = current.current;
      const next = placeAfterScroll(scale, element.clientHeight, before, element.scrollTop);
      // Rows and scrollbar move at once, or one frame would show neither place.
      if (next.offsetPx === before.offsetPx) show(next);
      else flushSync(() => show(next));
    },
    first: Math.max(0, Math.floor((position - headPx) / rowPx) - SPARE_ROWS),
    end: Math.min(count, Math.ceil((position + viewPx - headPx) / rowPx) + SPARE_ROWS),
    firstSeen: Math.ceil(position / rowPx),
    bodyPx: scale.elementPx - headPx,
    topOf: (row) => row * rowPx - place.offsetPx,
    positionPx: currentPx,
    scrollTo: (row) => {
      const height = scroller.current?.clientHeight ?? 0;
      const [lowest, highest] = [headPx + (row + 1) * rowPx - height, row * rowPx];
      show(placeAt(scale, height, Math.min(highest, Math.max(lowest, positionOf(current.current)))));
    },
  };
};
