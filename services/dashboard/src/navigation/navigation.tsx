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
import {type KeptPlace, useKeptPlace} from './use-kept-place.ts';
import {type View, viewOf} from './view.ts';

interface Navigation extends Pick<KeptPlace, 'place' | 'keepPlace' | 'notePlace'> {
  readonly href: string;
  /** Another one after each link and each Back, also where the address is the same. */
  readonly step: object;
  readonly view: View;
  /** `replace` for refinements of one view (filters), so that Back leaves the view. The shown address is always replaced. */
  readonly go: (href: string, options?: {readonly replace?: boolean}) => void;
  /** Another address of what is shown (its columns): the reader stays where he is. */
  readonly stay: (href: string) => void;
}

const NavigationContext = createContext<Navigation | null>(null);

export const NavigationProvider = ({children}: {readonly children: ReactNode}): ReactNode => {
  const [step, setStep] = useState(() => ({href: window.location.href}));
  const {place, keepPlace, notePlace, leavePlace, dropPlace} = useKeptPlace();
  const shownHref = useRef(step.href);
  const showAddress = useCallback(() => {
    shownHref.current = window.location.href;
    setStep({href: window.location.href});
  }, []);
  useEffect(() => {
    const follow = (): void => {
      // A new entry for a part of what is shown ("#content"): the reader is where he was.
      const isPart =
        window.history.state === null && withoutHash(shownHref.current) === withoutHash(window.location.href);
      if (isPart) leavePlace();
      else dropPlace();
      showAddress();
    };
    window.addEventListener('popstate', follow);
    return () => window.removeEventListener('popstate', follow);
  }, [leavePlace, dropPlace, showAddress]);
  const go = useCallback<Navigation['go']>(
    (target, {replace = false} = {}) => {
      if (replace || new URL(target, window.location.href).href === window.location.href) {
        dropPlace();
        window.history.replaceState(null, '', target);
      } else {
        leavePlace();
        window.history.pushState(null, '', target);
      }
      showAddress();
    },
    [leavePlace, dropPlace, showAddress],
  );
  const stay = useCallback<Navigation['stay']>(
    (target) => {
      leavePlace();
      window.history.replaceState(window.history.state, '', target);
      showAddress();
    },
    [leavePlace, showAddress],
  );
  const {href} = step;
  const value = useMemo(
    () => ({step, href, view: viewOf(new URL(href)), go, stay, place, keepPlace, notePlace}),
    [step, href, go, stay, place, keepPlace, notePlace],
  );
  return <NavigationContext value={value}>{children}</NavigationContext>;
};

const withoutHash = (href: string): string => href.replace(/#.*/, '');

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
