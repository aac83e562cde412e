import type {Page} from 'playwright-core';
import type {MockApi} from './dashboard.ts';
import {region} from './mock-region.ts';
import {type ShowOptions, type ShownPage, useDashboard} from './use-dashboard.ts';

interface ShowPageOptions extends ShowOptions {
  /** What answers before the mock region does. */
  readonly over?: MockApi | undefined;
}

/** For a file of tests: opens pages of the mock region. */
export const usePages = (): ((path: string, options?: ShowPageOptions) => Promise<ShownPage>) => {
  const show = useDashboard();
  return (path, {over, ...options} = {}) => show(region(over), path, options);
};

/** What has the focus: its tag, with its text. */
export const focusOf = (shown: Page): Promise<string> =>
  shown.evaluate<string>(`{
    const {tagName, textContent} = document.activeElement;
    tagName === 'BUTTON' || tagName === 'A' ? tagName + ' ' + textContent : tagName;
  }`);
