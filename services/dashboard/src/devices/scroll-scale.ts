/**
 * Scrolling through more rows than a browser lets an element be high (Chrome ends at 33,554,428 px, Firefox at half of that). The element keeps to a height
 * that all of them take, and stands for the whole: small movements move the rows as far as the finger does, a jump goes to the same share of the whole as it
 * does of the element. In between, what is shown is shifted by `offsetPx`, which changes from one window of rows to the next.
 */

/** What every browser takes, with room to spare. */
const MAX_ELEMENT_PX = 8_000_000;
/** Windows of one element's height. A movement that crosses from one to the next sets the scrollbar back a little. */
const WINDOWS_IN_ELEMENT = 100;

/** A length of content, and the element that stands for it. */
export interface ScrollScale {
  readonly contentPx: number;
  readonly elementPx: number;
}

/** Where a reader is: the element's scroll position, and what is to be added to it for the place in the content. */
export interface ScrollPlace {
  readonly scrollPx: number;
  readonly offsetPx: number;
}

export const scrollScale = (contentPx: number): ScrollScale => ({
  contentPx,
  elementPx: Math.min(contentPx, MAX_ELEMENT_PX),
});

const clamp = (value: number, most: number): number => Math.min(Math.max(0, value), Math.max(0, most));

const windowPxOf = ({elementPx}: ScrollScale): number => elementPx / WINDOWS_IN_ELEMENT;

/** Of a window, so that the first begins with the element, and the last ends with it. */
const offsetOf = (scale: ScrollScale, window: number): number => {
  const last = Math.floor(scale.contentPx / windowPxOf(scale)) - 1;
  if (scale.contentPx <= scale.elementPx) return 0;
  return Math.round((Math.min(window, last) * (scale.contentPx - scale.elementPx)) / last);
};

/** The place in the content that is at the top of what is seen. */
export const positionOf = ({scrollPx, offsetPx}: ScrollPlace): number => scrollPx + offsetPx;

const shownAt = (scale: ScrollScale, position: number): ScrollPlace => {
  const offsetPx = offsetOf(scale, Math.floor(position / windowPxOf(scale)));
  return {scrollPx: position - offsetPx, offsetPx};
};

/** How to show this place of the content at the top, or as near to it as the content's end lets it be. */
export const placeAt = (scale: ScrollScale, viewportPx: number, positionPx: number): ScrollPlace =>
  shownAt(scale, clamp(positionPx, scale.contentPx - viewportPx));

/** The same place when the content has another length. */
export const placeIn = (scale: ScrollScale, place: ScrollPlace): ScrollPlace => shownAt(scale, positionOf(place));

/** What the reader sees after the element was scrolled from a place to `scrollPx`. What follows the element may be scrolled to as well. */
export const placeAfterScroll = (
  scale: ScrollScale,
  viewportPx: number,
  before: ScrollPlace,
  scrollPx: number,
): ScrollPlace => {
  // A finger is slower than half a pixel of the scrollbar, which is as high as what is seen.
  const jumpPx = Math.max(viewportPx, scale.elementPx / Math.max(1, viewportPx) / 2);
  if (Math.abs(scrollPx - before.scrollPx) <= jumpPx) return shownAt(scale, Math.max(0, scrollPx + before.offsetPx));
  const share = clamp(scrollPx / Math.max(1, scale.elementPx - viewportPx), 1);
  const window = Math.floor((share * (scale.contentPx - viewportPx)) / windowPxOf(scale));
  return {scrollPx, offsetPx: offsetOf(scale, window)};
};
