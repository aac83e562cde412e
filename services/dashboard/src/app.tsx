import {useQuery, useQueryClient} from '@tanstack/react-query';
import {type ReactNode, useLayoutEffect, useRef} from 'react';
import {useApi} from './api/api-context.ts';
import {AuditPage} from './audit/audit-page.tsx';
import {DevicePage} from './device/device-page.tsx';
import {DeviceListPage} from './devices/device-list-page.tsx';
import {ErrorBoundary} from './layout/error-boundary.tsx';
import {Shell} from './layout/shell.tsx';
import {Empty, Failed, Loading, Untitled} from './layout/states.tsx';
import {Link, useNavigation} from './navigation/navigation.tsx';
import type {View} from './navigation/view.ts';
import {SessionContext} from './session/session-context.ts';
import {nextSession, SESSION_KEY, type SessionState} from './session/session-state.ts';
import {SignInPage} from './session/sign-in-page.tsx';
import {SummaryPage} from './summary/summary-page.tsx';
import {TokensPage} from './tokens/tokens-page.tsx';

/** Nothing but the sign-in page without a session; the URL stays, so signing in shows the view that was asked for. */
export const App = (): ReactNode => {
  const api = useApi();
  const queries = useQueryClient();
  const session = useQuery({
    queryKey: SESSION_KEY,
    queryFn: async ({signal}) => {
      const answer = await api.session(signal);
      return nextSession(queries.getQueryData<SessionState>(SESSION_KEY), answer);
    },
    staleTime: Infinity,
    // Another tab may have signed in, as somebody else too, or out.
    refetchOnWindowFocus: 'always',
  });
  const {view, href} = useNavigation();
  const isSignedOut = session.data === null || session.data === 'ended';
  const wasSignedOut = useRef(false);
  // The sign-in form had the focus, and is gone.
  useLayoutEffect(() => {
    if (wasSignedOut.current && !isSignedOut) document.getElementById('content')?.focus({preventScroll: true});
    wasSignedOut.current = isSignedOut;
  }, [isSignedOut]);
  if (session.data === undefined) {
    return (
      <main>
        <Untitled title="PiSync">
          {session.error === null ? (
            <Loading what="PiSync" />
          ) : (
            <Failed what="page" error={session.error} retry={() => void session.refetch()} />
          )}
        </Untitled>
      </main>
    );
  }
  if (session.data === null || session.data === 'ended') return <SignInPage ended={session.data === 'ended'} />;
  return (
    <SessionContext value={session.data}>
      <Shell title={titleOf(view)}>
        <ErrorBoundary key={new URL(href).pathname}>
          <ShownView view={view} />
        </ErrorBoundary>
      </Shell>
    </SessionContext>
  );
};

const titleOf = (view: View): string => {
  switch (view.kind) {
    case 'summary':
      return 'Summary';
    case 'devices':
      return 'Devices';
    case 'device':
      return `Device ${view.id.slice(0, 8)}`;
    case 'tokens':
      return 'Tokens';
    case 'audit':
      return 'Audit';
    case 'unknown':
      return 'Not found';
  }
};

const ShownView = ({view}: {readonly view: View}): ReactNode => {
  switch (view.kind) {
    case 'summary':
      return <SummaryPage />;
    case 'devices':
      return <DeviceListPage filter={view.filter} columnNames={view.columns} />;
    case 'device':
      return <DevicePage key={view.id} id={view.id} list={view.list} />;
    case 'tokens':
      return <TokensPage />;
    case 'audit':
      return <AuditPage filter={view.filter} />;
    case 'unknown':
      return (
        <Untitled title="Not found">
          <Empty title="There is no such page">
            {view.path} is not a view of this dashboard. <Link href="/">Show the summary</Link>
          </Empty>
        </Untitled>
      );
  }
};
