// The worker's app and the resident's page at a phone's size, in both languages: the main paths, without a network, and with somebody else faster.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { api, launch, url } from './browser.mjs';
import { accessible, CELL, count, large, phone, PHONE, picture, raise, resolved } from './phone.mjs';

test('an alarm from the list to its end, in both languages', async () => {
  const browser = await launch();
  for (const [language, theme] of [['zh', 'dark'], ['en', 'light']]) {
    const fire = await raise('fire');
    const { page, complaints } = await phone(browser, { language, theme });
    const row = page.locator('.alarm', { hasText: fire.text });
    await row.waitFor();
    await accessible(page);
    await large(page);
    await picture(page, `list-${language}`);
    await row.click();
    await page.locator('#acknowledge').click();
    await page.locator('#acknowledge:disabled', { hasText: '✓' }).waitFor();
    await page.locator('#on_site').click();
    await page.locator('#on_site:disabled', { hasText: '✓' }).waitFor();
    await page.locator('.panel li').first().waitFor();
    await accessible(page);
    await large(page);
    await picture(page, `alarm-${language}`);
    await page.locator('#resolve').click();
    await page.locator('form .choices button').nth(1).click();
    await page.locator('form .choices').nth(1).locator('button').first().click();
    await picture(page, `resolve-${language}`);
    await page.locator('form button.first').click();
    const { disposition, cause } = await resolved(fire.id);
    assert.deepEqual({ disposition, cause }, { disposition: 'false_alarm', cause: 'cooking' });
    for (const tab of ['hazard', 'patrol', 'settings']) {
      await page.locator(`#tab-${tab}`).click();
      await page.locator('h1').waitFor({ state: 'attached' });
      await accessible(page);
      await large(page);
      await picture(page, `${tab}-${language}`);
    }
    assert.deepEqual(complaints, []);
    await page.context().close();
  }
  await browser.close();
});

test('what is done without a network is sent once, and the app opens without one', async () => {
  const browser = await launch(), alarm = await raise();
  const { page, context } = await phone(browser);
  await page.locator('.alarm', { hasText: alarm.text }).waitFor();
  await context.setOffline(true);
  await page.reload();
  await page.locator('.alarm', { hasText: alarm.text }).click();
  await page.locator('#offline').waitFor();
  await page.locator('#acknowledge').click();
  await page.locator('#acknowledge small').waitFor();
  await page.locator('#waiting').waitFor();
  await picture(page, 'offline-zh');
  await page.reload(); // Also when the phone has put the page away meanwhile.
  await page.locator('#waiting').waitFor();
  assert.equal(await count(alarm.id, 'acknowledged'), 0);
  await context.setOffline(false);
  await page.locator('#waiting').waitFor({ state: 'detached', timeout: 30_000 });
  assert.equal(await count(alarm.id, 'acknowledged'), 1, 'exactly one deed');
  await browser.close();
});

test('an answer that got lost does nothing twice', async () => {
  const browser = await launch(), alarm = await raise();
  const { page } = await phone(browser, { worker: 'block' });
  await page.locator('.alarm', { hasText: alarm.text }).click();
  const keys = [];
  await page.route(`**/api/v1/alarms/${alarm.id}/acknowledge`, async (route) => {
    keys.push(route.request().headers()['idempotency-key']);
    if (keys.length > 1) return route.continue();
    await route.fetch(); // It arrives, and its answer does not.
    await route.abort();
  });
  await page.locator('#acknowledge').click();
  await page.locator('#waiting').waitFor();
  await page.evaluate(() => dispatchEvent(new Event('online')));
  await page.locator('#waiting').waitFor({ state: 'detached', timeout: 30_000 });
  assert.equal(new Set(keys).size, 1);
  assert.ok(keys.length > 1);
  assert.equal(await page.locator('.refused').count(), 0, 'the first answer, no refusal');
  assert.equal(await count(alarm.id, 'acknowledged'), 1);
  await browser.close();
});

test('somebody else was faster: the refusal is shown until it is seen', async () => {
  const browser = await launch(), alarm = await raise();
  const { page, context } = await phone(browser);
  await page.locator('.alarm', { hasText: alarm.text }).click();
  await context.setOffline(true);
  await page.locator('#acknowledge').click();
  await page.locator('#waiting').waitFor();
  await api('POST', `/api/v1/alarms/${alarm.id}/acknowledge`, {});
  await context.setOffline(false);
  await page.locator('.refused', { hasText: alarm.id }).waitFor({ timeout: 30_000 });
  await picture(page, 'conflict-zh');
  await page.locator('.refused button').click();
  await page.locator('.refused').waitFor({ state: 'detached' });
  await browser.close();
});

test('a hazard with a photo, a visit by its code, and a resident, in seconds', async () => {
  const browser = await launch(), board = await api('POST', `/api/v1/cells/${CELL}/board`, {});
  const { page } = await phone(browser);
  const begun = Date.now();
  await page.locator('#tab-hazard').click();
  await page.locator('#hazard-form .choices button').first().click();
  await page.locator('[name=place]').fill('3栋2单元门口');
  const drawn = await page.screenshot({ type: 'png' });
  await page.locator('#hazard-form input[type=file]').setInputFiles({ name: 'photo.png', mimeType: 'image/png', buffer: drawn });
  await page.locator('#hazard-form .button.chosen').waitFor();
  await page.locator('#hazard-form button.first').click();
  const row = page.locator('.alarm', { hasText: '消防车通道堵塞' });
  await row.waitFor();
  console.log(`a hazard with a photo: ${((Date.now() - begun) / 1000).toFixed(1)} s, 4 taps`);
  await row.click();
  await page.locator('.file button').waitFor();
  await page.locator('.file button').click();
  await page.locator('.file img').waitFor();
  await picture(page, 'hazard-done-zh');

  await page.locator('#tab-patrol').click();
  await page.locator('[name=code]').fill(board.code.toLowerCase());
  await page.locator('#patrol-form button').click();
  await page.locator('.panel', { hasText: '上次' }).waitFor();
  await picture(page, 'patrol-done-zh');

  for (const language of ['zh', 'en']) {
    const context = await browser.newContext({ ...PHONE, colorScheme: 'light' });
    await context.addInitScript((wanted) => localStorage.setItem('gridwarden-language', wanted), language);
    const resident = await context.newPage();
    await resident.goto(`${url}/report/${new URL(board.link).pathname.split('/').at(-1)}`);
    await resident.locator('#report .choices button').nth(3).click();
    await resident.locator('[name=place]').fill(`2单元楼道 ${language}`);
    await accessible(resident);
    await large(resident);
    await picture(resident, `resident-${language}`);
    await resident.locator('#report button.first').click();
    await resident.locator('.thanks').waitFor();
    await context.close();
  }
  await page.locator('#tab-alarms').click();
  await page.locator('.alarm', { hasText: '居民上报' }).first().waitFor();
  await browser.close();
});

test('the first load is small', async () => {
  const browser = await launch(), context = await browser.newContext(PHONE), page = await context.newPage();
  await page.goto(`${url}/worker/`);
  await page.locator('#login').waitFor();
  const bytes = await page.evaluate(() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0));
  assert.ok(20_000 < bytes && bytes < 100_000, `${bytes} bytes`);
  console.log(`first load: ${bytes} bytes`);
  await browser.close();
});
