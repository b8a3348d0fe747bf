// Chromium by Playwright, for the tests of the pages: logged in by a token, nothing from outside, every complaint kept.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../dashboards/web/package.json', import.meta.url));
const { chromium } = require('playwright-core');

export const url = process.env.GRIDWARDEN_URL, token = process.env.GRIDWARDEN_TOKEN;

/** `more`: further arguments of the browser. */
export async function launch(more = []) {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server', ...more] });
}

/** The station by its API, with the token of the test; refused, the test fails. */
export async function api(method, path, body) {
  const answer = await fetch(`${url}${path}`, { method, headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, ...(body && { body: JSON.stringify(body) }) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}
/** Waits until something is so, and answers what it is. */
export async function until(what, find) {
  for (let tries = 0; tries < 200; tries += 1) {
    const found = await find();
    if (found) return found;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  assert.fail(`not within 20 s: ${what}`);
}
/** What axe finds serious on the page, or in a part of it. */
export async function serious(page, part = 'html') {
  // By the developer's protocol: the page's own policy forbids a script from outside.
  await page.evaluate(axe);
  return page.evaluate(async (where) => (await globalThis.axe.run(where, { resultTypes: ['violations'] })).violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 200)} ${node.any[0]?.message ?? ''}`).join(' | ')}`), part);
}
const axe = require('node:fs').readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

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
