// A thousand open alarms: all are in the list, the fire stands first, and one key still acknowledges at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch, open } from './browser.mjs';

test('a thousand alarms', async () => {
  const browser = await launch(), { page, complaints } = await open(browser, { width: 1920, height: 1080 });
  await page.waitForFunction(() => document.querySelectorAll('#alarms li').length === 1000);
  assert.match(await page.locator('#alarms li').first().getAttribute('class'), /fire/);
  await page.keyboard.press('a');
  await page.waitForFunction(() => document.querySelectorAll('#alarms li.fire.waits').length === 0);
  await page.fill('.find input', 'D-42');
  await page.waitForSelector('.find li');
  assert.deepEqual(complaints, []);
  await browser.close();
});
