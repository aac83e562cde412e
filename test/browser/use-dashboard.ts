import {afterAll, afterEach, beforeAll, beforeEach} from '@jest/globals';
import type {Browser, BrowserContextOptions, Page} from 'playwright-core';
import {openBrowser} from '../e2e/kit/browser.ts';
import {buildDashboard, type MockApi, removeDashboard, type ServedDashboard, serveDashboard} from './dashboard.ts';

export interface ShownPage {
  readonly shown: Page;
  /** Where the dashboard is served. */
  readonly url: string;
  /** What was asked of the API so far. */
  readonly calls: readonly string[];
}

export interface ShowOptions extends Pick<BrowserContextOptions, 'colorScheme' | 'viewport'> {
  /** What runs in the page before its own scripts. */
  readonly script?: string;
  /** Files that the server does not have. */
  readonly lacks?: (path: string) => boolean;
}

export type Show = (api: MockApi, path: string, options?: ShowOptions) => Promise<ShownPage>;

/** One browser for the tests of a file. What a test shows is closed after it; what was shown before it stays. */
export const useDashboard = (): Show => {
  let folder: string;
  let browser: Browser;
  const served: ServedDashboard[] = [];
  const pages: Page[] = [];
  let before = 0;
  const close = async (from: number): Promise<void> => {
    await Promise.all(pages.splice(from).map((page) => page.close()));
    for (const dashboard of served.splice(from)) dashboard.close();
  };

  beforeAll(async () => {
    folder = await buildDashboard();
    browser = await openBrowser();
  }, 300_000);
  beforeEach(() => {
    before = pages.length;
  });
  afterEach(() => close(before));
  afterAll(async () => {
    await close(0);
    await browser.close();
    removeDashboard(folder);
  }, 60_000);

  return async (api, path, options = {}) => {
    const {colorScheme = 'light', viewport = {width: 1280, height: 900}, script, lacks} = options;
    const dashboard = await serveDashboard(folder, api, lacks);
    served.push(dashboard);
    const shown = await browser.newPage({colorScheme, viewport});
    pages.push(shown);
    if (script !== undefined) await shown.addInitScript(script);
    await shown.goto(`${dashboard.url}${path}`);
    return {shown, url: dashboard.url, calls: dashboard.calls};
  };
};
