import {createContext, useContext} from 'react';
import type {Api} from './client.ts';

export const ApiContext = createContext<Api | null>(null);

export const useApi = (): Api => {
  const api = useContext(ApiContext);
  if (api === null) throw new Error('No ApiContext above this component: main.tsx provides it.');
  return api;
};
