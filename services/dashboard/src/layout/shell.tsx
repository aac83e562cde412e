import {useMutation, useQueryClient} from '@tanstack/react-query';
import {type ReactNode, useEffect, useLayoutEffect, useRef} from 'react';
import {useApi} from '../api/api-context.ts';
import {Link, useNavigation} from '../navigation/navigation.tsx';
import {auditHref, devicesHref} from '../navigation/view.ts';
import {mayAudit, useSession} from '../session/session-context.ts';
import {leaveSession} from '../session/take-session.ts';
import {useSignedChange} from '../session/use-signed-change.ts';
import {visibleGroup} from '../text/visible-name.ts';
import {Logo} from './logo.tsx';
import {type Theme, useTheme} from './theme.ts';
import {useHeldFocus} from './use-held-focus.ts';

const THEME_LABELS: Readonly<Record<Theme, string>> = {system: 'Auto', light: 'Light', dark: 'Dark'};

/** The frame around every view: where I am, who I am, how it looks. */
export const Shell = ({title, children}: {readonly title: string; readonly children: ReactNode}): ReactNode => {
  const {view} = useNavigation();
  const session = useSession();
  const [theme, stepTheme] = useTheme();
  const main = useRef<HTMLElement>(null);
  const shownKind = useRef(view.kind);
  useHeldFocus(main);

  useEffect(() => {
    document.title = `${title} · ${session.region} · PiSync`;
  }, [title, session.region]);

  // Another view is another page: read it from its top, and tell a screen reader that it changed. A view that knows better where
  // the reader was moves the focus on from here in an effect of its own, which comes after this one.
  useLayoutEffect(() => {
    if (shownKind.current === view.kind) return;
    shownKind.current = view.kind;
    window.scrollTo(0, 0);
    main.current?.focus({preventScroll: true});
  }, [view.kind]);

  return (
    <>
      <a className="skip-link" href="#content">
        Skip to content
      </a>
      <header className="bar">
        <Link href="/" className="brand" aria-label="PiSync, summary">
          <Logo />
          PiSync
        </Link>
        <span className="region-name" title="This region">
          {session.region}
        </span>
        <nav aria-label="Views">
          <Link href="/" aria-current={view.kind === 'summary' ? 'page' : undefined}>
            Summary
          </Link>
          <Link
            href={devicesHref()}
            aria-current={view.kind === 'devices' ? 'page' : view.kind === 'device' ? 'true' : undefined}
          >
            Devices
          </Link>
          <Link href="/groups" aria-current={view.kind === 'groups' ? 'page' : undefined}>
            Groups
          </Link>
          {mayAudit(session) ? (
            <>
              <Link href="/tokens" aria-current={view.kind === 'tokens' ? 'page' : undefined}>
                Tokens
              </Link>
              <Link href={auditHref()} aria-current={view.kind === 'audit' ? 'page' : undefined}>
                Audit
              </Link>
            </>
          ) : null}
        </nav>
        <div className="bar-end">
          <button
            type="button"
            className="button button-quiet"
            onClick={stepTheme}
            title="Change the colour theme"
            aria-label={`Theme: ${THEME_LABELS[theme]}`}
          >
            <span className="spare">Theme: </span>
            {THEME_LABELS[theme]}
          </button>
          <SignOut />
        </div>
      </header>
      <main id="content" ref={main} tabIndex={-1}>
        {children}
      </main>
    </>
  );
};

const groupsText = (groups: readonly string[] | null): string =>
  groups === null ? 'all groups' : `groups ${groups.map(visibleGroup).join(', ')}`;

const SignOut = (): ReactNode => {
  const api = useApi();
  const queries = useQueryClient();
  const session = useSession();
  const change = useSignedChange();
  const signOut = useMutation({
    mutationFn: () => change(api.signOut),
    onSuccess: () => leaveSession(queries),
  });
  return (
    <>
      <span className="who" title={`${session.name}, role ${session.role}, ${groupsText(session.groups)}`}>
        <span>{session.name}</span> <span className="role">{session.role}</span>
      </span>
      <button
        type="button"
        className="button button-quiet"
        title={signOut.error?.message}
        onClick={() => signOut.mutate()}
      >
        {signOut.isError ? 'Sign out failed, try again' : 'Sign out'}
      </button>
    </>
  );
};
