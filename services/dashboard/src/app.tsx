import {useQuery, useQueryClient} from '@tanstack/react-query';
import {type ReactNode, useLayoutEffect, useRef} from 'react';
import {useApi} from './api/api-context.ts';
import {AuditPage} from './audit/audit-page.tsx';
import {DevicePage} from './device/device-page.tsx';
import {DeviceListPage} from './devices/device-list-page.tsx';
import {GroupsPage} from './groups/groups-page.tsx';
import {ErrorBoundary} from './layout/error-boundary.tsx';
import {Shell} from './layout/shell.tsx';
import {Empty, Failed, Loading, Untitled} from './layout/states.tsx';
import {Link, useNavigation} from './navigation/navigation.tsx';
import type {View} from './navigation/view.ts';
import {SessionContext} from './session/session-context.ts';
import {personOf, SESSION_KEY} from './session/session-state.ts';
import {SignInPage} from './session/sign-in-page.tsx';
import {takeSession} from './session/take-session.ts';
import {TakenOver} from './session/taken-over.tsx';
import {SummaryPage} from './summary/summary-page.tsx';
import {MadeTokensProvider} from './tokens/made-tokens.tsx';
import {TokensPage} from './tokens/tokens-page.tsx';

/**
 * Nothing but the sign-in page without a session; the URL stays, so signing in shows the view that was asked for. Where a session ended, the
 * view stays as it is below the sign-in form, with all that was typed. It goes when somebody else signs in.
 */
export const App = (): ReactNode => {
  const api = useApi();
  const queries = useQueryClient();
  const session = useQuery({
    queryKey: SESSION_KEY,
    queryFn: async ({signal}) => takeSession(queries, await api.session(signal)),
    staleTime: Infinity,
    // Another tab may have signed in, as somebody else too, or out.
    refetchOnWindowFocus: 'always',
  });
  const {view, href} = useNavigation();
  const isSignedOut = session.data !== undefined && (session.data.who === null || session.data.hasEnded);
  const wasSignedOut = useRef(false);
  // The sign-in form had the focus, and is gone. What had it before has it again, where that is still there.
  useLayoutEffect(() => {
    const isFree = document.activeElement === document.body;
    if (wasSignedOut.current && !isSignedOut && isFree) {
      document.getElementById('content')?.focus({preventScroll: true});
    }
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
  const {who, hasEnded, isTakenOver} = session.data;
  return (
    <>
      {who === null ? null : (
        <SessionContext key={personOf(who)} value={who}>
          <MadeTokensProvider>
            <Shell title={titleOf(view)}>
              {isTakenOver ? <TakenOver session={who} /> : null}
              <ErrorBoundary key={new URL(href).pathname}>
                <ShownView view={view} />
              </ErrorBoundary>
            </Shell>
          </MadeTokensProvider>
        </SessionContext>
      )}
      {isSignedOut ? <SignInPage ended={hasEnded} /> : null}
    </>
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
    case 'groups':
      return 'Groups';
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
    case 'groups':
      return <GroupsPage />;
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
