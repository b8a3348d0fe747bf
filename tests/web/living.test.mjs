// Pages that stay open for a night: what others change is there, nobody is pulled back to what he has left, nothing is asked for twice, and what has begun has an end.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, launch, open, serious, token, url } from './browser.mjs';

const { CELL } = process.env;
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const DESK = { width: 1440, height: 900, language: 'en' };
/** A device of a file, as somebody else's import. */
async function imports(id, more = {}) {
  const fields = { id, kind: 'smoke_detector', name: `Hall ${id}`, cell: CELL, place: `1栋1单元 ${id}`, ...more };
  const answer = await fetch(`${url}/api/v1/imports/devices?file=other.csv`, { method: 'POST', headers: { Authorization: `Bearer ${token}` }, body: `${Object.keys(fields).join(',')}\n${Object.values(fields).join(',')}\n` });
  assert.equal((await answer.json()).stored, true);
}
/** How often the page asks for what begins so, from now on. */
function asked(page, path) {
  const found = [];
  page.on('request', (request) => new URL(request.url()).pathname.startsWith(path) && found.push(request.url()));
  return found;
}

test('what others change of the registry is there without a reload', async () => {
  const { page, complaints, context } = await open(browser, { ...DESK, hash: `page=admin/cells&cell=${encodeURIComponent(CELL)}` });
  const figures = page.locator('.draw p.faint', { hasText: 'devices' }), before = Number(/(\d+) devices/.exec(await figures.innerText())[1]);
  await imports('SD-OTHER');
  await page.waitForFunction((wanted) => document.querySelector('.draw > p.faint:not(.wide)')?.textContent.includes(`${wanted} devices`), before + 1, { timeout: 15_000 });
  await page.evaluate(() => (location.hash = 'page=health'));
  await page.locator('#values a', { hasText: 'SD-OTHER' }).first().waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test('who has moved on is not pulled back when a change comes into force', async () => {
  const { page, complaints, context } = await open(browser, { ...DESK, hash: 'page=admin/devices' });
  await page.click('.new');
  const form = page.locator('form.fields');
  await form.locator('[name=id]').fill('SD-LEFT');
  await form.locator('[name=name]').fill('Kitchen');
  await form.locator('[name=cell]').fill(CELL);
  await form.locator('button.first').click();
  await page.waitForSelector('text=+ device SD-LEFT');
  await page.click('text=Change it so');
  await page.waitForSelector('text=Stored');
  await page.evaluate(() => (location.hash = 'page=health'));
  await page.locator('#values a', { hasText: 'SD-LEFT' }).first().or(page.locator('#values div', { hasText: 'SD-LEFT' }).first()).waitFor({ timeout: 15_000 });
  assert.equal(await page.evaluate(() => location.hash), '#page=health');
  assert.deepEqual(complaints, []);
  await context.close();
});

test('the figures name people without reading them, and another week of the roster asks for nobody', async () => {
  const { page, context } = await open(browser, DESK), people = asked(page, '/api/v1/people');
  const [told] = (await api('GET', '/api/v1/indicators')).people;
  assert.notEqual(told.name, told.of);
  await page.evaluate(() => (location.hash = 'page=indicators'));
  await page.click('button:has-text("By person")');
  await page.waitForSelector(`section th:has-text("${told.name}")`);
  assert.deepEqual(people, []);
  await page.evaluate(() => (location.hash = 'page=admin/shifts'));
  await page.waitForSelector('[data-person]');
  assert.equal(people.length, 1);
  await page.click('button:has-text("Week after")');
  await page.click('button:has-text("This week")');
  await page.waitForSelector('.week .row');
  assert.equal(people.length, 1, 'everybody was read once');
  await context.close();
});

test('of two spans of figures the one chosen last is shown, whichever answer comes last', async () => {
  const { page, context } = await open(browser, { ...DESK, hash: 'page=indicators' });
  await page.waitForSelector('#span');
  let late;
  await page.route('**/api/v1/indicators*', async (route) => {
    const at = new URL(route.request().url()).searchParams, days = (new Date(at.get('to')) - new Date(at.get('from'))) / 86_400_000;
    if (Math.round(days) === 28) late = () => route.continue();
    else await route.continue();
  });
  await page.click('button:has-text("28 days")');
  await page.click('button:has-text("14 days")');
  const of = (days) => page.waitForFunction((wanted) => {
    const [from, to] = document.querySelector('#span').textContent.split(' – ').map((one) => new Date(one.slice(0, 16)));
    return Math.round((to - from) / 86_400_000) === wanted;
  }, days);
  await of(14);
  const answered = page.waitForResponse((answer) => answer.url().includes('/indicators'));
  await late();
  await (await answered).finished();
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  await of(14);
  await context.close();
});

test('looking for proposals comes to an end and says so', async () => {
  const { page, complaints, context } = await open(browser, { ...DESK, hash: 'page=indicators' });
  await page.click('button:has-text("Look now")');
  await page.locator('#look', { hasText: 'nothing new to propose' }).waitFor({ timeout: 30_000 });
  assert.deepEqual(complaints, []);
  await context.close();
});

test("a camera's picture is looked at once, however often the alarm is read again", async () => {
  const { page, context } = await open(browser, DESK);
  const { id } = (await api('GET', '/api/v1/alarms?class=fire&open=1')).items[0];
  // The station has no camera: its card is given one on the way.
  await page.route(`**/api/v1/alarms/${id}`, async (route) => {
    const detail = await (await route.fetch()).json();
    detail.card.camera = { id: 'CAM', name: 'Gate', metres: 12, still: { id: 'S-1', at: detail.alarm.raised } };
    await route.fulfill({ json: detail });
  });
  await page.route('**/api/v1/stills/*', (route) => route.fulfill({ contentType: 'image/svg+xml', body: '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="9"/>' }));
  const looks = asked(page, '/api/v1/stills/');
  await page.evaluate((alarm) => (location.hash = `alarm=${alarm}`), id);
  await page.waitForSelector('#card img');
  for (let times = 0; times < 2; times += 1) {
    const again = page.waitForResponse((answer) => answer.url().endsWith(`/alarms/${id}`));
    await page.click('#told-again');
    await (await again).finished();
  }
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  assert.equal(looks.length, 1);
  await context.close();
});

test('a check of the rules that failed is made again; what somebody else saved meanwhile is said, and read on request', async () => {
  const { page, context } = await open(browser, { ...DESK, hash: 'page=admin/rules' });
  await page.click('#edit-rules');
  const area = page.locator('.source textarea');
  await area.waitFor();
  const inForce = await area.inputValue();
  let failed = 0;
  await page.route('**/api/v1/rules/check', (route) => ((failed += 1) === 1 ? route.abort() : route.continue()));
  await page.route('**/api/v1/rules/preview', async (route) => (route.request().method() === 'GET' && (failed += 1) === 3 ? route.abort() : route.continue()));
  await area.fill(`# mine\n${inForce}`);
  await page.waitForSelector('#try:not(:disabled)', { timeout: 15_000 });
  await page.click('#try');
  await page.waitForSelector('#save:not(:disabled)', { timeout: 30_000 });
  await page.route('**/api/v1/rules/file', (route) => (route.request().method() === 'PUT' ? route.fulfill({ status: 409, json: { type: 'urn:gridwarden:problem:rules-changed', detail: 'The rules have changed.' } }) : route.continue()));
  await page.click('#save');
  await page.waitForSelector('#overtaken');
  assert.equal(await area.inputValue(), `# mine\n${inForce}`, 'what was typed stays');
  assert.equal(await page.locator('#save').isDisabled(), true);
  assert.deepEqual(await serious(page), []);
  await page.click('#overtaken button');
  await page.waitForSelector('#overtaken', { state: 'detached' });
  assert.equal(await area.inputValue(), inForce);
  await context.close();
});

test('a drill calls as the real one would: one key acknowledges it, after what is real', async () => {
  for (const { id } of (await api('GET', '/api/v1/alarms?open=1&state=unacknowledged')).items) await api('POST', `/api/v1/alarms/${id}/acknowledge`);
  const drill = await api('POST', '/api/v1/drills', { cell: process.env.ELSEWHERE, kind: 'supervisory', note: 'October' });
  const { page, complaints, context } = await open(browser, DESK);
  await page.waitForSelector(`#alarms [data-id="${drill.id}"] kbd`);
  await page.locator('#summary', { hasText: 'to acknowledge 1' }).waitFor({ state: 'attached' });
  await page.keyboard.press('a');
  await page.waitForSelector(`#alarms [data-id="${drill.id}"] button`, { state: 'detached' });
  assert.ok((await api('GET', `/api/v1/alarms/${drill.id}`)).alarm.acknowledged);
  assert.deepEqual(complaints, []);
  await context.close();
});
