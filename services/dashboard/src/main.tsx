import {MutationCache, QueryCache, QueryClient, QueryClientProvider} from '@tanstack/react-query';
import {StrictMode} from 'react';
import {createRoot} from 'react-dom/client';
import {ApiContext} from './api/api-context.ts';
import {ApiError, createApi} from './api/client.ts';
import {App} from './app.tsx';
import {applyTheme, storedTheme} from './layout/theme.ts';
import {NavigationProvider} from './navigation/navigation.tsx';
import {NowProvider} from './time/time.tsx';
import './styles/tokens.css';
import './styles/base.css';
import './styles/frame.css';
import './styles/summary.css';
import './styles/device-list.css';
import './styles/device.css';

/** Answers that another try cannot change. */
const isFinal = (error: Error): boolean => error instanceof ApiError && error.status >= 400 && error.status < 500;

const main = (): void => {
  applyTheme(storedTheme());
  // Any 401 means that the session ended, wherever it is noticed: the sign-in page replaces the view, the URL stays.
  const onError = (error: Error): void => {
    if (error instanceof ApiError && error.status === 401)
      queries.setQueryData(['session'], (old: unknown) => (old === undefined ? undefined : null));
  };
  const queries = new QueryClient({
    queryCache: new QueryCache({onError}),
    mutationCache: new MutationCache({onError}),
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        networkMode: 'always',
        retry: (failures, error) => !isFinal(error) && failures < 3,
      },
      mutations: {networkMode: 'always'},
    },
  });
  const root = document.getElementById('root');
  if (root === null) throw new Error('index.html has no element #root to render into.');
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <ApiContext value={createApi(window.fetch.bind(window))}>
          <NavigationProvider>
            <NowProvider clock={Date.now}>
              <App />
            </NowProvider>
          </NavigationProvider>
        </ApiContext>
      </QueryClientProvider>
    </StrictMode>,
  );
};

main();
