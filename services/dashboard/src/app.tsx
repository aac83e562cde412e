import {useQuery} from '@tanstack/react-query';
import type {ReactNode} from 'react';
import {useApi} from './api/api-context.ts';
import {DevicePage} from './device/device-page.tsx';
import {DeviceListPage} from './devices/device-list-page.tsx';
import {Shell} from './layout/shell.tsx';
import {Empty, Failed, Loading} from './layout/states.tsx';
import {Link, useNavigation} from './navigation/navigation.tsx';
import type {View} from './navigation/view.ts';
import {SessionContext} from './session/session-context.ts';
import {SignInPage} from './session/sign-in-page.tsx';
import {SummaryPage} from './summary/summary-page.tsx';

/** Nothing but the sign-in page without a session; the URL stays, so signing in shows the view that was asked for. */
export const App = (): ReactNode => {
  const api = useApi();
  const session = useQuery({queryKey: ['session'], queryFn: ({signal}) => api.session(signal), staleTime: Infinity});
  const {view} = useNavigation();
  if (session.data === undefined) {
    return (
      <main>
        {session.error === null ? (
          <Loading what="PiSync" />
        ) : (
          <Failed what="page" error={session.error} retry={() => void session.refetch()} />
        )}
      </main>
    );
  }
  if (session.data === null) return <SignInPage />;
  return (
    <SessionContext value={session.data}>
      <Shell title={titleOf(view)}>
        <ShownView view={view} />
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
    case 'unknown':
      return (
        <Empty title="There is no such page">
          {view.path} is not a view of this dashboard. <Link href="/">Show the summary</Link>
        </Empty>
      );
  }
};
