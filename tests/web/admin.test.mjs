// What only an administrator does, each to its end: the figures of the week and a proposal, registers of a unit, other rules, cells, shifts.
// The tests stand in this order: each leaves the station as the next one wants it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { axeSource, launch, open, token, url } from './browser.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const ask = async (path, options = {}) => (await fetch(`${url}${path}`, { ...options, headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' } })).json();
async function serious(page) {
  await page.evaluate(axeSource());
  return page.evaluate(async () => (await axe.run(document, { resultTypes: ['violations'] })).violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)}`));
}
/** Only what the page complains of by itself: refusals that are asked for here are named in the browser's log. */
const unexpected = (complaints) => complaints.filter((one) => !/status of (409|422)/.test(one));
async function picture(page, name) {
  if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${name}.png` });
}
async function eventually(what, look) {
  for (let tries = 0; tries < 100; tries += 1) {
    if (await look()) return;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  assert.fail(`not within 10 s: ${what}`);
}

test('figures of the week go out, and a proposal is accepted with its effect shown', async () => {
  const { page, complaints, context } = await open(browser, { width: 1600, height: 1000, hash: 'page=indicators' });
  await page.waitForSelector('.tiles li');
  await page.click('text=按人员');
  await page.waitForSelector('section th:has-text("张伟")');
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('text=导出 CSV')]);
  const text = readFileSync(await file.path(), 'utf8');
  assert.match(text, /^\uFEFFscope,of,alarms,alarms_per_10_min/);
  for (const scope of ['station', 'week', 'cell', 'person']) assert.ok(text.includes(`\r\n${scope},`), `${scope}: ${text}`);
  const [shot] = await Promise.all([page.waitForEvent('download'), page.click('text=导出 PNG')]);
  assert.equal(readFileSync(await shot.path()).subarray(1, 4).toString(), 'PNG');
  await page.click('text=现在就找');
  const proposal = page.locator('#proposals li', { hasText: '界限由 140 改为' });
  await proposal.waitFor({ timeout: 20_000 });
  assert.ok((await proposal.innerText()).includes('无事'), 'its effect is shown');
  assert.deepEqual(await serious(page), []);
  await picture(page, 'indicators');
  await proposal.locator('text=采用…').click();
  await page.keyboard.type('主管中午压力就是 136');
  await page.keyboard.press('Enter');
  await page.click('#proposals summary:has-text("已决定的")');
  await page.waitForSelector('#proposals .state.accepted');
  assert.deepEqual(complaints, []);
  await context.close();
});

test('registers of a unit are read while it is polled, and what stands in the way is said', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 1000, language: 'en', hash: 'page=admin/modbus' });
  await page.fill('[name=expect]', 'bar 3..4');
  await page.focus('[name=expect]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#made li:has-text("350 kPa")');
  await page.waitForSelector('table td.fits');
  await page.waitForSelector('pre:has-text("[[modbus.unit")');
  assert.deepEqual(await serious(page), []);
  await picture(page, 'admin-modbus');
  await page.fill('[name=start]', '0x9C40');
  await page.click('button.first');
  await page.waitForSelector('#probe-error:has-text("refuses")');
  await page.fill('[name=unit]', '77');
  await page.click('button.first');
  await page.waitForSelector('#probe-error:has-text("Unit 77")', { timeout: 20_000 });
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test('rules: a mistake has its place, a missed fire must be named, and what was tried is saved', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 1100, hash: 'page=admin/rules' });
  await page.click('#edit-rules');
  const area = page.locator('.source textarea');
  await area.waitFor();
  const inForce = await area.inputValue();
  assert.ok(inForce.includes('below = 137'), 'what was accepted before is in force');
  await area.fill(inForce.replace('metric = "pressure"', 'metric = "presure"'));
  const wrong = inForce.split('\n').findIndex((line) => line.includes('metric = "pressure"')) + 1;
  await page.waitForSelector(`.problem:has-text("第 ${wrong}:")`);
  assert.ok((await page.locator('.problem').first().innerText()).includes('pressure'));
  await page.locator('.problem button').first().click();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
  assert.equal(await page.locator('#try').isDisabled(), true);

  await area.fill(inForce.replace('flag = "smoke"', 'flag = "heat_alarm"'));
  await page.waitForSelector('#try:not(:disabled)');
  await page.click('#try');
  await page.waitForSelector('#preview .alarm:has-text("漏报")', { timeout: 20_000 });
  assert.equal(await page.locator('#save').isDisabled(), true);
  await picture(page, 'admin-rules-fire');
  assert.deepEqual(await serious(page), []);
  const { version } = await ask('/api/v1/rules/file');
  const refused = await ask('/api/v1/rules/file', { method: 'PUT', body: JSON.stringify({ text: await area.inputValue(), version }) });
  assert.equal(refused.type, 'urn:gridwarden:problem:would-miss-fire', JSON.stringify(refused));
  await page.fill('[name=named]', 'smoke');
  assert.equal(await page.locator('#save').isDisabled(), false, 'by name it may');

  const better = `# from the page\n${inForce}`;
  await area.fill(better);
  assert.equal(await page.locator('#save').isDisabled(), true, 'these were not tried');
  const untried = await ask('/api/v1/rules/file', { method: 'PUT', body: JSON.stringify({ text: better, version }) });
  assert.equal(untried.type, 'urn:gridwarden:problem:not-tried', JSON.stringify(untried));
  await page.waitForSelector('#try:not(:disabled)');
  await page.click('#try');
  await page.waitForSelector('#save:not(:disabled)', { timeout: 20_000 });
  await page.click('#save');
  await page.waitForSelector('p.good:has-text("已保存")');
  await eventually('they are in force', async () => (await ask('/api/v1/rules/file')).text === better);
  const log = await ask('/api/v1/audit?what=rules.');
  assert.equal(log.items[0].what, 'rules.save');
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});
