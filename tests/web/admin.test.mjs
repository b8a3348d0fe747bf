// What only an administrator does, each to its end: the figures of the week and a proposal, registers of a unit, other rules, cells, shifts.
// The tests stand in this order: each leaves the station as the next one wants it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { api, launch, open, serious, token, until, url } from './browser.mjs';

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** The problem with which the gateway refuses. */
async function refusal(method, path, body) {
  const answer = await fetch(`${url}${path}`, { method, headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  assert.equal(answer.ok, false, `${method} ${path} is refused`);
  return answer.json();
}
/** Only what the page complains of by itself: refusals that are asked for here are named in the browser's log. */
const unexpected = (complaints) => complaints.filter((one) => !/status of (409|422)/.test(one));
async function picture(page, name) {
  if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${name}.png` });
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
  await proposal.locator('.acts button').first().click();
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
  await page.fill('[name=expect]', '');
  await page.click('button.first');
  await page.waitForSelector('#candidates', { state: 'detached' });
  await page.fill('[name=expect]', 'bar 90..99');
  assert.equal(await page.locator('#candidates').count(), 0, 'what was not asked is not answered');
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
  const { version } = await api('GET', '/api/v1/rules/file');
  const refused = await refusal('PUT', '/api/v1/rules/file', { text: await area.inputValue(), version });
  assert.equal(refused.type, 'urn:gridwarden:problem:would-miss-fire', JSON.stringify(refused));
  await page.fill('[name=named]', 'smoke');
  assert.equal(await page.locator('#save').isDisabled(), false, 'by name it may');

  const better = `# from the page\n${inForce}`;
  await area.fill(better);
  assert.equal(await page.locator('#save').isDisabled(), true, 'these were not tried');
  const untried = await refusal('PUT', '/api/v1/rules/file', { text: better, version });
  assert.equal(untried.type, 'urn:gridwarden:problem:not-tried', JSON.stringify(untried));
  await page.waitForSelector('#try:not(:disabled)');
  await page.click('#try');
  await page.waitForSelector('#save:not(:disabled)', { timeout: 20_000 });
  await page.click('#save');
  await page.waitForSelector('p.good:has-text("已保存")');
  await until('they are in force', async () => (await api('GET', '/api/v1/rules/file')).text === better);
  const log = await api('GET', '/api/v1/audit?what=rules.');
  assert.equal(log.items[0].what, 'rules.save');
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test('a shift is dragged onto a cell, another one is put there by keys, and one ends', async () => {
  const { page, complaints, context } = await open(browser, { width: 1600, height: 1000, hash: 'page=admin/shifts' });
  await page.waitForSelector('[data-person="chen-jie"]');
  await page.click('button:has-text("下一周")'); // What ends in this one leaves the hours that were served.
  const row = page.locator('.row:has([data-put="S1-C1-G2"]) .time');
  const box = await row.boundingBox();
  await page.locator('[data-person="chen-jie"]').dragTo(row, { targetPosition: { x: (box.width * (3 * 24 + 9.5)) / 168, y: box.height / 2 } });
  await page.waitForSelector('#assign');
  assert.equal(await page.locator('#assign [name=from]').inputValue(), '09:00');
  assert.deepEqual(await page.locator('#assign fieldset input').evaluateAll((days) => days.map((day) => day.checked)), [false, false, false, true, false, false, false]);
  assert.deepEqual(await serious(page), []);
  await page.selectOption('#assign [name=role]', 'helper');
  await page.click('#assign button.first');
  await page.waitForSelector('.row:has([data-put="S1-C1-G2"]) .bar.helper:has-text("陈洁")', { timeout: 15_000 });
  const known = await api('GET', '/api/v1/people/chen-jie');
  assert.ok(known.duties.some(({ cell, role, hours }) => cell === 'S1-C1-G2' && role === 'helper' && hours === 'Thu 09:00-17:00'), JSON.stringify(known.duties));
  await picture(page, 'admin-shifts');

  // By keys: choose the person, then the row; more hours of the same role stand in one duty.
  await page.focus('[data-person="chen-jie"]');
  if ((await page.getAttribute('[data-person="chen-jie"]', 'aria-pressed')) !== 'true') await page.keyboard.press('Enter');
  await page.focus('[data-put="S1-C1-G2"]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#assign');
  await page.selectOption('#assign [name=role]', 'helper');
  await page.fill('#assign [name=from]', '20:00');
  await page.fill('#assign [name=until]', '22:00');
  await page.focus('#assign button.first');
  await page.keyboard.press('Enter');
  await until('both are in one duty', async () => (await api('GET', '/api/v1/people/chen-jie')).duties.some(({ hours }) => hours === 'Thu 09:00-17:00; Mon-Fri 20:00-22:00'));
  // In force, the roster is read again: a change on the older one would be refused.
  await page.waitForFunction(() => document.querySelectorAll('.bar.helper').length === 6, undefined, { timeout: 15_000 });
  await page.locator('.bar.helper').first().click();
  await page.click('#assign button:has-text("结束这个班次")');
  await page.waitForSelector('.bar.helper', { state: 'detached', timeout: 15_000 });
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test('a cell is split along a line, and what stood there goes along; put together again, its code is still known', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 1100, hash: `page=admin/cells&cell=S1-C1-G2` });
  await page.waitForSelector('#board');
  await page.click('text=拆分');
  await page.fill('[name=code]', 'S1-C1-G3');
  await page.fill('[name=name]', '三格');
  // To the east by keys: the detectors in the middle stay, the hydrant at the edge goes.
  for (const end of [0, 1]) {
    await page.locator('#redraw circle').nth(end).focus();
    for (let step = 0; step < 6; step += 1) await page.keyboard.press('ArrowRight');
  }
  await page.click('#redraw button.first');
  await page.waitForSelector('.difference:has-text("device HY-1: S1-C1-G2 → S1-C1-G3")');
  assert.equal(await page.locator('.difference:has-text("SD-4")').count(), 0);
  assert.deepEqual(await serious(page), []);
  await picture(page, 'admin-split');
  await page.click('#apply');
  await page.waitForSelector('.rows button:has-text("三格")', { timeout: 15_000 });
  assert.deepEqual((await api('GET', '/api/v1/devices/HY-1')).cells, ['S1-C1-G3']);
  assert.equal((await api('GET', '/api/v1/cells/S1-C1-G3')).responsible.id, 'zhang-wei', 'who answered for the ground still does');

  await page.waitForSelector('text=合并');
  await page.click('button:has-text("合并")');
  await page.locator('.other-cell', { hasText: 'S1-C1-G3' }).locator('input').check();
  await page.click('#redraw button.first');
  await page.waitForSelector('.difference:has-text("- cell S1-C1-G3")');
  await page.click('#apply');
  await until('they are one', async () => (await api('GET', '/api/v1/devices/HY-1')).cells[0] === 'S1-C1-G2');
  assert.equal((await api('GET', '/api/v1/cells/S1-C1-G3')).cell.retired, true, 'its code still finds it');
  // A fire stands in the other one: it is not taken away under it.
  const refused = await refusal('POST', '/api/v1/cells/S1-C1-G2/merge', { others: ['S1-C1-G1'] });
  assert.equal(refused.type, 'urn:gridwarden:problem:cell-in-use', JSON.stringify(refused));
  const log = await api('GET', '/api/v1/audit?what=cell.');
  assert.deepEqual(log.items.map(({ what }) => what).slice(0, 2), ['cell.merge', 'cell.split']);
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});

test('a drill and a roll-call are begun, and who answered is seen as it happens', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 1000, hash: 'page=exercises' });
  await page.waitForSelector('#begin-drills');
  await page.fill('#begin-drills [name=cell]', 'S1-C1-G2');
  await page.fill('#begin-drills [name=note]', '消防宣传月');
  await page.click('#begin-drills button.first');
  await page.waitForSelector('.sure');
  await page.click('#begin-drills button.first');
  await page.waitForSelector('#drills article:has-text("进行中")', { timeout: 15_000 });
  await page.waitForSelector('p.drill[role=status]'); // And the whole page says that it is one.
  const drill = await page.locator('#drills article header a').first().innerText();
  await api('POST', `/api/v1/alarms/${drill}/acknowledge`);
  await page.waitForFunction(() => /首个接警 *\d+:\d\d/.test(document.querySelector('#drills .sums')?.innerText.replaceAll('\n', ' ')), undefined, { timeout: 15_000 });

  await page.fill('#begin-roll-calls [name=cell]', 'S1');
  await page.click('#begin-roll-calls button.first');
  await page.click('#begin-roll-calls button.first');
  await page.waitForSelector('#roll-calls li.waiting', { timeout: 15_000 });
  assert.deepEqual(await serious(page), []);
  const asked = await page.locator('#roll-calls li a').first().getAttribute('href');
  await api('POST', `/api/v1/alarms/${asked.replace('#alarm=', '')}/acknowledge`);
  await page.waitForSelector('#roll-calls li.answered_by_another', { timeout: 15_000 });
  await page.reload();
  const person = page.locator('#practice tbody button').first();
  await person.click();
  await page.waitForSelector(`#practice .month th:has-text("${new Date().getFullYear()}-")`);
  assert.deepEqual(await serious(page), []);
  await picture(page, 'exercises');
  assert.deepEqual(unexpected(complaints), []);
  await context.close();
});
