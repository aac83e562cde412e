import {
  createContext,
  type AnchorHTMLAttributes,
  type MouseEvent,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
} from 'react';
import {type View, viewOf} from './view.ts';

interface Navigation {
  readonly href: string;
  readonly view: View;
  /** `replace` for refinements of one view (filters), so that Back leaves the view. */
  readonly go: (href: string, options?: {readonly replace?: boolean}) => void;
}

const NavigationContext = createContext<Navigation | null>(null);

export const NavigationProvider = ({children}: {readonly children: ReactNode}): ReactNode => {
  const [href, setHref] = useState(() => window.location.href);
  useEffect(() => {
    const follow = (): void => setHref(window.location.href);
    window.addEventListener('popstate', follow);
    return () => window.removeEventListener('popstate', follow);
  }, []);
  const go = useCallback<Navigation['go']>((target, {replace = false} = {}) => {
    if (replace) window.history.replaceState(null, '', target);
    else window.history.pushState(null, '', target);
    setHref(window.location.href);
  }, []);
  const value = useMemo(() => ({href, view: viewOf(new URL(href)), go}), [href, go]);
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
