import {afterAll, beforeAll} from '@jest/globals';
import type {Browser, Page} from 'playwright-core';
import {openBrowser} from '../e2e/kit/browser.ts';
import {buildDashboard, type MockApi, removeDashboard, type ServedDashboard, serveDashboard} from './dashboard.ts';
import {region} from './mock-region.ts';

interface ShownPage {
  readonly shown: Page;
  /** What was asked of the server so far. */
  readonly calls: readonly string[];
}

interface ShowOptions {
  /** What answers before the mock region does. */
  readonly over?: MockApi | undefined;
  readonly viewport?: {readonly width: number; readonly height: number};
  /** What runs in the page before its own scripts. */
  readonly script?: string;
  /** Files that the server does not have. */
  readonly lacks?: (path: string) => boolean;
}

/** For a file of tests: builds the dashboard, and opens pages of it in a browser. */
export const usePages = (): ((path: string, options?: ShowOptions) => Promise<ShownPage>) => {
  let folder: string;
  let browser: Browser;
  const served: ServedDashboard[] = [];
  beforeAll(async () => {
    folder = await buildDashboard();
    browser = await openBrowser();
  }, 300_000);
  afterAll(async () => {
    await browser.close();
    for (const dashboard of served) dashboard.close();
    removeDashboard(folder);
  }, 60_000);
  return async (path, {over, viewport = {width: 1280, height: 900}, script, lacks} = {}) => {
    const dashboard = await serveDashboard(folder, region(over), lacks);
    served.push(dashboard);
    const shown = await browser.newPage({viewport});
    if (script !== undefined) await shown.addInitScript(script);
    await shown.goto(`${dashboard.url}${path}`);
    return {shown, calls: dashboard.calls};
  };
};

/** What has the focus: its tag, with its text. */
export const focusOf = (shown: Page): Promise<string> =>
  shown.evaluate<string>(`{
    const {tagName, textContent} = document.activeElement;
    tagName === 'BUTTON' || tagName === 'A' ? tagName + ' ' + textContent : tagName;
  }`);
