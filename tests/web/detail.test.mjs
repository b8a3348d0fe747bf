// One alarm on the wall board: by keys alone, and when it is over.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, launch, open, serious, url } from './browser.mjs';

const { CELL } = process.env, DESK = { width: 1440, height: 900, language: 'en' };
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test('when it is over the resident is asked from the wall board, and what he said is shown', async () => {
  const { id } = await api('POST', '/api/v1/alarms', { cell: process.env.ELSEWHERE, class: 'trouble', text: '楼道灯坏了' });
  await api('POST', `/api/v1/alarms/${id}/acknowledge`);
  await api('POST', `/api/v1/alarms/${id}/resolve`, { disposition: 'hazard_removed' });
  if ((await api('GET', `/api/v1/alarms/${id}`)).alarm.open) {
    const verified = await fetch(`${url}/api/v1/alarms/${id}/verify`, { method: 'POST', headers: { Authorization: `Bearer ${process.env.COLLEAGUE}` } });
    assert.equal(verified.status, 200, 'somebody else looks at it');
  }
  const { page, complaints, context } = await open(browser, { ...DESK, hash: `alarm=${id}` });
  await page.click('#ratings #ask');
  await page.waitForFunction(() => document.querySelector('#ratings img')?.naturalWidth > 0);
  assert.deepEqual(await serious(page), []);
  const secret = (await page.locator('#ratings .link').innerText()).split('#')[1];
  await api('POST', `/api/v1/ratings/${secret}`, { stars: 4, comment: 'They came at once.' }).catch(() => {}); // No body.
  await page.click('#told-again');
  await page.locator('#ratings [role=img][aria-label$="4 / 5"]').waitFor();
  await page.locator('#ratings p', { hasText: 'They came at once.' }).waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test('keys alone: a form is entered, left, and the keys go on where it was', async () => {
  const { id } = await api('POST', '/api/v1/alarms', { cell: CELL, class: 'trouble', text: '门坏了' });
  const { page, complaints, context } = await open(browser, { ...DESK, hash: `alarm=${id}` });
  await page.locator('[data-deed=hand_over]').focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('#deed-form');
  await page.keyboard.press('Tab');
  await page.keyboard.type('cannot leave');
  assert.equal(await page.locator('#deed-form textarea').inputValue(), 'cannot leave');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#deed-form', { state: 'detached' });
  await page.waitForFunction(() => document.activeElement?.getAttribute('data-deed') === 'hand_over');
  // The menu and the help are left by Escape.
  await page.locator('header .menu').focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('#panel', { state: 'visible' });
  await page.keyboard.press('Escape');
  await page.waitForSelector('#panel', { state: 'hidden' });
  assert.equal(await page.evaluate(() => document.activeElement?.matches('.menu')), true);
  assert.deepEqual(complaints, []);
  await context.close();
});
