import {
  createContext,
  type AnchorHTMLAttributes,
  type MouseEvent,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import {type Place, placeOf} from './place.ts';
import {type View, viewOf} from './view.ts';

interface Navigation {
  readonly href: string;
  readonly view: View;
  /** `replace` for refinements of one view (filters), so that Back leaves the view. */
  readonly go: (href: string, options?: {readonly replace?: boolean}) => void;
  /** Where the reader was when this address was left; undefined where it was not come back to. */
  readonly place: Place | undefined;
  /** Says where the reader is, for when the shown address is left by a link; null when the list is gone. */
  readonly keepPlace: (read: (() => Place) | null) => void;
}

const NavigationContext = createContext<Navigation | null>(null);

const currentEntry = (): {readonly href: string; readonly place: Place | undefined} => ({
  href: window.location.href,
  place: placeOf(window.history.state),
});

export const NavigationProvider = ({children}: {readonly children: ReactNode}): ReactNode => {
  const [{href, place}, setEntry] = useState(currentEntry);
  const readPlace = useRef<(() => Place) | null>(null);
  useEffect(() => {
    const follow = (): void => setEntry(currentEntry());
    window.addEventListener('popstate', follow);
    return () => window.removeEventListener('popstate', follow);
  }, []);
  const go = useCallback<Navigation['go']>((target, {replace = false} = {}) => {
    if (replace) window.history.replaceState(null, '', target);
    else {
      if (readPlace.current !== null) window.history.replaceState({place: readPlace.current()}, '');
      window.history.pushState(null, '', target);
    }
    setEntry(currentEntry());
  }, []);
  const keepPlace = useCallback<Navigation['keepPlace']>((read) => {
    readPlace.current = read;
  }, []);
  const value = useMemo(
    () => ({href, view: viewOf(new URL(href)), go, place, keepPlace}),
    [href, go, place, keepPlace],
  );
  return <NavigationContext value={value}>{children}</NavigationContext>;
};

export const useNavigation = (): Navigation => {
  const navigation = useContext(NavigationContext);
  if (navigation === null) throw new Error('No NavigationProvider above this component: main.tsx provides it.');
  return navigation;
};

interface LinkProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  readonly href: string;
  readonly replace?: boolean;
}

/** A real link (copy, open in a new tab) that changes the view without loading the page again. */
export const Link = ({href, replace = false, onClick, ...rest}: LinkProps): ReactNode => {
  const {go} = useNavigation();
  const follow = (event: MouseEvent<HTMLAnchorElement>): void => {
    onClick?.(event);
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!plain || event.defaultPrevented) return;
    event.preventDefault();
    go(href, {replace});
  };
  return <a {...rest} href={href} onClick={follow} />;
};
