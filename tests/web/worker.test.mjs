// The worker's app and the resident's page at a phone's size, in both languages: the main paths, without a network, and with somebody else faster.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { axeSource, launch, token, url } from './browser.mjs';

const CELL = process.env.GRIDWARDEN_CELL, PICTURES = process.env.PICTURES;
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

async function api(method, path, body) {
  const answer = await fetch(`${url}${path}`, { method, headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, ...(body && { body: JSON.stringify(body) }) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}
let raised = 0;
const raise = (kind = 'supervisory') => api('POST', '/api/v1/alarms', { cell: CELL, class: kind, text: `居民来电：地下室有烟 ${++raised}` });
const count = async (id, what) => (await api('GET', `/api/v1/alarms/${id}`)).history.filter((entry) => entry.what === what).length;
/** The page's queue sends it when it can, so the station is asked, not the page. */
async function resolved(id) {
  for (let tries = 0; tries < 600; tries += 1) {
    const { alarm } = await api('GET', `/api/v1/alarms/${id}`);
    if (alarm.resolved) return alarm.resolved;
    await new Promise((next) => setTimeout(next, 100));
  }
  assert.fail(`${id} is not resolved within a minute`);
}

/** `worker: 'block'` where requests are caught on their way: those of a page with a service worker are not always seen. */
async function phone(browser, { language = 'zh', theme = 'dark', worker = 'allow' } = {}) {
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
async function picture(page, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  // The whole page, with the bar at its foot.
  await page.setViewportSize({ width: PHONE.viewport.width, height: await page.evaluate(() => Math.max(844, document.documentElement.scrollHeight)) });
  await page.screenshot({ path: `${PICTURES}/${name}.png` });
  await page.setViewportSize(PHONE.viewport);
}
async function accessible(page) {
  // By the developer's protocol: the page's own policy forbids a script from outside.
  await page.evaluate(axeSource());
  const { violations } = await page.evaluate(() => axe.run({ resultTypes: ['violations'] }));
  assert.deepEqual(violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes[0].html}`), []);
}
/** What a glove must hit. */
async function large(page) {
  const small = await page.evaluate(() => [...document.querySelectorAll('button, select, a, input:not([type=checkbox]):not([type=file]), .button')]
    .map((one) => ({ text: one.outerHTML.slice(0, 80), high: one.getBoundingClientRect().height })).filter(({ high }) => 0 < high && high < 56));
  assert.deepEqual(small, []);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
}

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

test('a roll-call has one button, a drill says so, and an alarm goes to somebody by name', async () => {
  const browser = await launch();
  await api('POST', '/api/v1/roll-calls', { persons: ['wang-li'], note: '夜间查岗' });
  const drill = await api('POST', '/api/v1/drills', { cell: CELL, kind: 'fire', note: '三季度' }), alarm = await raise('trouble');
  const { page, complaints } = await phone(browser, { theme: 'light' });
  const asked = (await api('GET', '/api/v1/alarms?open=1')).items.find((one) => one.rule === 'roll-call');
  await page.locator('.alarm', { hasText: asked.text }).click();
  await page.locator('.here').waitFor();
  assert.equal(await page.locator('.three').count(), 0, 'nobody has to go anywhere');
  await accessible(page);
  await large(page);
  await picture(page, 'roll-call-zh');
  await page.locator('.here').click();
  await page.locator('.here:disabled', { hasText: '✓' }).or(page.locator('.none, h2').first()).waitFor();
  assert.ok((await api('GET', `/api/v1/alarms/${asked.id}`)).alarm.acknowledged);

  await page.locator('#tab-alarms').click();
  await page.locator('.alarm.drilled', { hasText: '演练' }).first().click();
  await page.locator('p.drill').waitFor();
  await accessible(page);
  await picture(page, 'drill-zh');
  assert.equal((await api('GET', `/api/v1/alarms/${drill.id}`)).alarm.drill, true);

  await page.locator('.back').click();
  await page.locator('.alarm', { hasText: alarm.text }).click();
  await page.locator('#hand-over').click();
  await page.locator('[data-person=zhang-wei]').click();
  await page.locator('#hand-over-form .choices').nth(1).locator('button').first().click();
  await accessible(page);
  await large(page);
  await picture(page, 'hand-over-zh');
  await page.locator('#hand-over-form button.first').click();
  await page.locator('#hand-over-form').waitFor({ state: 'detached' });
  await page.locator('#waiting').waitFor({ state: 'detached' });
  const handed = (await api('GET', `/api/v1/alarms/${alarm.id}`)).alarm;
  assert.deepEqual([handed.owner.id, handed.handed_over.note], ['zhang-wei', '超出我的权限']);
  assert.deepEqual(complaints, []);
  await browser.close();
});

test("a resident's photo comes after the report, and he says how it was, once", async () => {
  const browser = await launch(), board = await api('POST', `/api/v1/cells/${CELL}/board`, {}), context = await browser.newContext({ ...PHONE, colorScheme: 'light' });
  await context.addInitScript(() => localStorage.setItem('gridwarden-language', 'zh'));
  const resident = await context.newPage();
  await resident.goto(`${url}/report/${new URL(board.link).pathname.split('/').at(-1)}`);
  await resident.locator('#report .choices button').nth(5).click();
  await resident.locator('[name=place]').fill('4单元楼道');
  await resident.locator('#report input[type=file]').setInputFiles({ name: 'photo.png', mimeType: 'image/png', buffer: await resident.screenshot({ type: 'png' }) });
  await resident.locator('#report .button.chosen').waitFor();
  await picture(resident, 'resident-photo-zh');
  // The photo's way is cut once: the report has arrived all the same, and the photo is tried again.
  let cut = true;
  await resident.route('**/photo/*', (route) => (cut ? ((cut = false), route.abort()) : route.continue()));
  await resident.locator('#report button.first').click();
  await resident.locator('.thanks').waitFor();
  await resident.locator('[role=alert] + button').click();
  await resident.locator('.thanks', { hasText: '照片也收到了' }).waitFor();
  await accessible(resident);
  await large(resident);
  const reference = /A-\d+/.exec(await resident.locator('.thanks').textContent())[0];
  const { items } = await api('GET', `/api/v1/alarms/${reference}/attachments`);
  assert.deepEqual(items.map(({ who, kind }) => [who.id, kind]), [['resident', 'image/jpeg']]);

  // Dealt with, closed by a colleague's word; the worker's phone offers the link.
  const { page } = await phone(browser, { theme: 'light' });
  await page.locator('.alarm', { hasText: '4单元楼道' }).click();
  await page.locator('#acknowledge').click();
  await page.locator('#acknowledge:disabled', { hasText: '✓' }).waitFor();
  await page.locator('#resolve').click();
  await page.locator('form.panel button.first').click();
  await page.locator('#resolve:disabled, #ask-resident').first().waitFor();
  if ((await api('GET', `/api/v1/alarms/${reference}`)).alarm.open) await api('POST', `/api/v1/alarms/${reference}/verify`, {});
  await page.locator('#tab-alarms').click();
  await page.locator('#ask').click();
  await page.waitForFunction(() => document.querySelector('#ask-resident img')?.naturalWidth > 0);
  await accessible(page);
  await large(page);
  await picture(page, 'ask-resident-zh');

  const { link } = await api('POST', `/api/v1/alarms/${reference}/rating_link`);
  const at = new URL(link);
  for (const language of ['zh', 'en']) {
    const rater = await browser.newContext({ ...PHONE, colorScheme: 'light' }), rating = await rater.newPage();
    await rater.addInitScript((wanted) => localStorage.setItem('gridwarden-language', wanted), language);
    await rating.goto(`${url}${at.pathname}${at.hash}`);
    if (language === 'zh') {
      await rating.locator('.stars button').nth(3).click();
      await rating.locator('textarea').fill('来得很快');
      await accessible(rating);
      await large(rating);
      await picture(rating, 'rate-zh');
      await rating.locator('#rate button.first').click();
      await rating.locator('.thanks', { hasText: '谢谢您的评价' }).waitFor();
    } else await rating.locator('.thanks', { hasText: 'has been used' }).waitFor();
    await rater.close();
  }
  const { ratings } = await api('GET', `/api/v1/alarms/${reference}`);
  assert.deepEqual(ratings.map(({ stars, comment }) => [stars, comment]), [[4, '来得很快']]);
  await browser.close();
});

test('everything is there in the size for rain, in both languages', async () => {
  const browser = await launch(), alarm = await raise('fire');
  for (const language of ['zh', 'en']) {
    const { page, context } = await phone(browser, { language, theme: 'dark' });
    await page.locator('#tab-settings').click();
    await page.locator('select').nth(1).selectOption('large');
    assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).fontSize), '23px');
    for (const tab of ['settings', 'hazard', 'patrol', 'alarms']) {
      await page.locator(`#tab-${tab}`).click();
      await large(page);
      if (language === 'zh' || tab === 'alarms') await picture(page, `large-${tab}-${language}`);
    }
    await page.locator('.alarm', { hasText: alarm.text }).click();
    await page.locator('.panel li').first().waitFor();
    await large(page);
    await accessible(page);
    await picture(page, `large-alarm-${language}`);
    await context.close();
  }
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
