import {focusManager, MutationCache, QueryCache, QueryClient, QueryClientProvider} from '@tanstack/react-query';
import {StrictMode} from 'react';
import {createRoot} from 'react-dom/client';
import {ApiContext} from './api/api-context.ts';
import {ApiError, createApi} from './api/client.ts';
import {isRetried, retryDelayMs, retryMs} from './api/retry.ts';
import {App} from './app.tsx';
import {ErrorBoundary} from './layout/error-boundary.tsx';
import {applyTheme, storedTheme} from './layout/theme.ts';
import {NavigationProvider} from './navigation/navigation.tsx';
import {takeSession} from './session/take-session.ts';
import {createServerClock} from './time/server-clock.ts';
import {NowProvider} from './time/time.tsx';
import './styles/tokens.css';
import './styles/base.css';
import './styles/frame.css';
import './styles/summary.css';
import './styles/device-list.css';
import './styles/device.css';
import './styles/token-page.css';
import './styles/question.css';
import './styles/audit-page.css';
import './styles/groups-page.css';

/** A window beside others is seen all the time, and looked at when it gets the focus. */
const followFocus = (): void =>
  focusManager.setEventListener((onFocus) => {
    const events = new AbortController();
    for (const name of ['focus', 'visibilitychange']) {
      window.addEventListener(name, () => onFocus(), {signal: events.signal});
    }
    return () => events.abort();
  });

const main = (): void => {
  applyTheme(storedTheme());
  followFocus();
  // Any 401 means that the session ended, wherever it is noticed: the sign-in form covers the view until somebody signs in.
  const onError = (error: Error): void => {
    if (error instanceof ApiError && error.status === 401) void takeSession(queries, null);
  };
  const queries = new QueryClient({
    queryCache: new QueryCache({onError}),
    mutationCache: new MutationCache({onError}),
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        networkMode: 'always',
        retry: isRetried,
        retryDelay: retryDelayMs,
        refetchInterval: ({state: {data, error}}) => retryMs(data !== undefined, error),
      },
      mutations: {networkMode: 'always'},
    },
  });
  const clock = createServerClock(Date.now);
  const send: typeof fetch = async (input, init) => {
    const response = await window.fetch(input, init);
    clock.note(response.headers.get('date'));
    return response;
  };
  const root = document.getElementById('root');
  if (root === null) throw new Error('index.html has no element #root to render into.');
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <ApiContext value={createApi(send)}>
          <NavigationProvider>
            <NowProvider clock={clock}>
              <ErrorBoundary>
                <App />
              </ErrorBoundary>
            </NowProvider>
          </NavigationProvider>
        </ApiContext>
      </QueryClientProvider>
    </StrictMode>,
  );
};

main();
