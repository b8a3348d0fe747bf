// A thousand open alarms: all are in the list, the fire stands first, and one key still acknowledges at once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, launch, open } from './browser.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test('a thousand alarms', async () => {
  const { page, complaints, context } = await open(browser, { width: 1920, height: 1080 });
  await page.waitForFunction(() => document.querySelectorAll('#alarms li').length === 1000);
  assert.match(await page.locator('#alarms li').first().getAttribute('class'), /fire/);
  await page.keyboard.press('a');
  await page.waitForFunction(() => document.querySelectorAll('#alarms li.fire.waits').length === 0);
  await page.fill('.find input', 'D-42');
  await page.waitForSelector('.find li');
  assert.deepEqual(complaints, []);
  await context.close();
});

test('it sounds until somebody has acknowledged, and a fire like nothing else', async () => {
  const { page, context } = await open(browser, { width: 1280, height: 800 });
  await page.evaluate(() => {
    window.rung = [];
    const make = AudioContext.prototype.createOscillator;
    AudioContext.prototype.createOscillator = function () {
      const tone = make.call(this);
      queueMicrotask(() => window.rung.push(`${tone.type} ${tone.frequency.value}`));
      return tone;
    };
  });
  await page.mouse.click(5, 300); // A browser is quiet until somebody has touched the page.
  const heard = (what) => page.waitForFunction((tone) => window.rung.includes(tone), what, { timeout: 10_000 });
  await api('POST', '/api/v1/alarms', { cell: 'C-5', class: 'fire', text: '居民来电' });
  await heard('square 960');
  const fire = page.locator('#alarms li.fire.waits');
  await fire.waitFor();
  await page.keyboard.press('a');
  await fire.waitFor({ state: 'detached' });
  await page.evaluate(() => (window.rung = []));
  await page.waitForTimeout(3500); // Two rounds of a fire.
  assert.ok(!(await page.evaluate(() => window.rung)).some((tone) => tone.startsWith('square')));
  await context.close();
});
