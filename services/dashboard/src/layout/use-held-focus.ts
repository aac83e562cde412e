import {type RefObject, useEffect} from 'react';

/** Where what had the focus goes away, the element has it instead: without it a reader with the keyboard begins at the top again. */
export const useHeldFocus = (element: RefObject<HTMLElement | null>): void => {
  useEffect(() => {
    const place = element.current;
    if (place === null) return;
    let holder: EventTarget | null = null;
    const events = new AbortController();
    place.addEventListener('focusin', ({target}) => (holder = target), {signal: events.signal});
    const observer = new MutationObserver(() => {
      if (!(holder instanceof Node) || holder.isConnected) return;
      holder = null;
      if (document.activeElement === document.body) place.focus({preventScroll: true});
    });
    observer.observe(place, {childList: true, subtree: true});
    return () => {
      events.abort();
      observer.disconnect();
    };
  }, [element]);
};
