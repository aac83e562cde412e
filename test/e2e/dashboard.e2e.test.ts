import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {type Browser} from 'playwright-core';
import {openBrowser} from './kit/browser.ts';
import {batchBody, enrolled, post, record} from './kit/device.ts';
import {clusterFile, ROOT} from './kit/files.ts';
import {helmInstall} from './kit/operator.ts';
import {dropRegion, readyRegion, type Region} from './kit/region.ts';
import {until} from './kit/until.ts';

/** It knows a name that only the ingress knows. */
const launch = (region: Region): Promise<Browser> =>
  openBrowser([`--host-resolver-rules=MAP ${region.adminHost} ${new URL(clusterFile().ingress.http).hostname}`]);

describe('the dashboard in a browser', () => {
  let region: Region;
  let browser: Browser;
  beforeAll(async () => {
    await helmInstall();
    region = await readyRegion('seen', {postgres: {shards: 2, storage: {size: '1Gi'}}});
    browser = await launch(region);
  }, 300_000);
  afterAll(async () => {
    await browser.close();
    await dropRegion(region);
  }, 90_000);

  test('a person signs in, sees the summary and the devices, and opens one', async () => {
    const device = await enrolled(region, 'pi-in-the-attic');
    await enrolled(region, 'pi-in-the-cellar');
    await until('a sync', async () => {
      const answer = await post(device, batchBody(device, 1, [record(1), record(2)]));
      if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
      return true;
    });
    const token = await region.kubectl.secret(`${region.name}-bootstrap`, 'admin-token');
    const page = await browser.newPage({viewport: {width: 1280, height: 800}});
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    // What the page's own policy blocks is no exception: it is only said on the console.
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) problems.push(message.text());
    });
    const {port, protocol} = new URL(clusterFile().ingress.http);
    await page.goto(`${protocol}//${region.adminHost}${port === '' ? '' : `:${port}`}/`);
    await page.getByLabel(/token/i).fill(token);
    await page.getByRole('button', {name: /sign in/i}).click();
    await page.getByTestId('summary-tiles').waitFor();
    await page
      .getByRole('link', {name: /devices/i})
      .first()
      .click();
    await page.getByTestId('device-row').first().waitFor();
    expect(await page.getByTestId('device-row').count()).toBe(2);
    const shots = join(ROOT, 'out/screenshots');
    mkdirSync(shots, {recursive: true});
    await page.screenshot({path: join(shots, 'devices.png')});
    await page.getByText('pi-in-the-attic').first().click();
    await page.getByText(device.deviceId).first().waitFor();
    await page.screenshot({path: join(shots, 'device.png')});
    await page.goto(new URL('/devices/%E0%A4%A', page.url()).href);
    await page.getByText('There is no such page').waitFor();
    await page.getByRole('link', {name: /show the summary/i}).click();
    await page.getByTestId('summary-tiles').waitFor();
    await page
      .getByRole('link', {name: /devices/i})
      .first()
      .click();
    await page.getByTestId('device-row').first().waitFor();
    await page.context().clearCookies();
    await page.getByRole('button', {name: /read again/i}).click();
    await page.getByText(/your session has ended/i).waitFor();
    expect(problems).toEqual([]);
  }, 120_000);

  test('a wrong token is refused with a sentence', async () => {
    const page = await browser.newPage();
    const {port, protocol} = new URL(clusterFile().ingress.http);
    await page.goto(`${protocol}//${region.adminHost}${port === '' ? '' : `:${port}`}/`);
    await page.getByLabel(/token/i).fill('not-a-token');
    await page.getByRole('button', {name: /sign in/i}).click();
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').innerText()).not.toBe('');
  }, 60_000);
});
