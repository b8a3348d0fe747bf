// On duty: a roll-call, a drill, handing over by name; a resident's photo and his word on how it was; everything in the size for rain.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { api, launch, url } from './browser.mjs';
import { accessible, CELL, large, phone, PHONE, picture, raise, resolved } from './phone.mjs';

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
  await resolved(reference);
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
