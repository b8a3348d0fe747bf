// What the tests of the worker's and the resident's pages share: a phone, the API, what must hold on every page, pictures.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { api, serious, token, until, url } from './browser.mjs';

const PICTURES = process.env.PICTURES;
export const CELL = process.env.GRIDWARDEN_CELL;
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

let raised = 0;
export const raise = (kind = 'supervisory') => api('POST', '/api/v1/alarms', { cell: CELL, class: kind, text: `居民来电：地下室有烟 ${++raised}` });
export const count = async (id, what) => (await api('GET', `/api/v1/alarms/${id}`)).history.filter((entry) => entry.what === what).length;
/** The page's queue sends it when it can, so the station is asked, not the page. */
export const resolved = (id) => until(`${id} is resolved`, async () => (await api('GET', `/api/v1/alarms/${id}`)).alarm.resolved);

/** `worker: 'block'` where requests are caught on their way: those of a page with a service worker are not always seen. */
export async function phone(browser, { language = 'zh', theme = 'dark', worker = 'allow' } = {}) {
  const context = await browser.newContext({ ...PHONE, serviceWorkers: worker, colorScheme: theme, permissions: ['geolocation'], geolocation: { latitude: 32.11, longitude: 118.905 } });
  await context.addInitScript(([wanted, look]) => {
    localStorage.setItem('gridwarden-language', wanted);
    localStorage.setItem('gridwarden-theme', look);
  }, [language, theme]);
  const page = await context.newPage(), complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(`${url}/worker/#token=${token}`);
  await page.waitForSelector('#main');
  if (worker === 'allow') await page.evaluate(() => navigator.serviceWorker.ready);
  return { page, context, complaints };
}
export async function picture(page, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  // The whole page, with the bar at its foot.
  await page.setViewportSize({ width: PHONE.viewport.width, height: await page.evaluate(() => Math.max(844, document.documentElement.scrollHeight)) });
  await page.screenshot({ path: `${PICTURES}/${name}.png` });
  await page.setViewportSize(PHONE.viewport);
}
export async function accessible(page) {
  assert.deepEqual(await serious(page), []);
}
/** What a glove must hit. */
export async function large(page) {
  const small = await page.evaluate(() => [...document.querySelectorAll('button, select, a, input:not([type=checkbox]):not([type=file]), .button')]
    .map((one) => ({ text: one.outerHTML.slice(0, 80), high: one.getBoundingClientRect().height })).filter(({ high }) => 0 < high && high < 56));
  assert.deepEqual(small, []);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
}
