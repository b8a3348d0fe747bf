// Chromium by Playwright, for the tests of the pages: logged in by a token, nothing from outside, every complaint kept.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../dashboards/web/package.json', import.meta.url));
const { chromium } = require('playwright-core');

export const axeSource = () => require('node:fs').readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
export const url = process.env.GRIDWARDEN_URL, token = process.env.GRIDWARDEN_TOKEN;

/** `more`: further arguments of the browser. */
export async function launch(more = []) {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server', ...more] });
}

/** A page that is logged in. `complaints` are errors of its console and its scripts, `foreign` requests that left the gateway. */
export async function open(browser, { width = 1920, height = 1080, language = 'zh', theme = 'light', hash = '', origin = url, token: secret = token, ready = '#main' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, deviceScaleFactor: 1, hasTouch: width < 600, isMobile: width < 600 });
  await context.addInitScript((wanted) => localStorage.setItem('gridwarden-language', wanted), language);
  const page = await context.newPage(), complaints = [], foreign = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    const at = new URL(request.url());
    if (at.origin !== origin && !['data:', 'blob:'].includes(at.protocol)) foreign.push(request.url());
  });
  await page.goto(`${origin}/#token=${secret}`);
  await page.waitForSelector(ready);
  await page.waitForFunction(() => document.querySelector('.time .live') !== null);
  if (hash) await page.evaluate((to) => (location.hash = to), hash);
  return { page, complaints, foreign, context };
}
