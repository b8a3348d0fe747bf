// Every page as an administrator sees it: at three sizes and in both languages nothing sticks out, nothing is asked for outside, no script complains; axe finds
// nothing serious in light and in dark; keys alone are enough; and what is fetched first stays small.
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { launch, open, serious, url } from './browser.mjs';

const alarm = process.env.ALARM, device = process.env.DEVICE;
const PAGES = {
  board: ['', '#map'],
  alarm: [`alarm=${alarm}`, '#alarm-head h2'],
  hydrants: ['page=hydrants', '#hydrants li'],
  charts: [`page=charts&series=${device}:pressure`, '.u-over'],
  health: ['page=health', '#values tr'],
  coverage: ['page=coverage', '.answered'],
  indicators: ['page=indicators', '.tiles li'],
  exercises: ['page=exercises', '#begin-drills'],
  devices: [`page=admin/devices&device=${device}`, 'dl.facts'],
  people: ['page=admin/people', '.week'],
  shifts: ['page=admin/shifts', '.week .row'],
  rules: ['page=admin/rules', '.ladder li'],
  modbus: ['page=admin/modbus', 'form.fields'],
  orders: ['page=admin/orders', 'form.fields'],
  waiting: ['page=admin/waiting', 'li.burns'],
  letters: ['page=admin/letters', 'h2'],
  imports: ['page=admin/imports', 'input[type=file]'],
  accounts: ['page=admin/accounts', '.rows button'],
  plans: ['page=admin/plans', '.lead'],
  audit: ['page=admin/audit', 'tbody tr'],
  cells: ['page=admin/cells', '.rows button'],
};
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

async function visit(page, name) {
  const [hash, sign] = PAGES[name];
  await page.evaluate((to) => (location.hash = to), hash || 'page=board');
  await page.waitForSelector(sign, { state: 'attached' });
}

for (const [width, height] of [[390, 844], [1280, 800], [3840, 2160]]) {
  for (const language of ['zh', 'en']) {
    test(`${width} × ${height}, ${language}: nothing sticks out, nothing comes from outside`, async () => {
      const { page, complaints, foreign, context } = await open(browser, { width, height, language });
      for (const name of Object.keys(PAGES)) {
        await visit(page, name);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
        const cut = await page.evaluate(() => [...document.querySelectorAll('header button, header a, .page button')].filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0).map((one) => one.textContent.trim()));
        assert.deepEqual(cut, [], `${name}: words are cut off`);
      }
      assert.deepEqual(complaints, []);
      assert.deepEqual(foreign, []);
      await context.close();
    });
  }
}

for (const [theme, language, width, height] of [['light', 'zh', 1440, 900], ['dark', 'en', 1440, 900], ['light', 'en', 390, 844]]) {
  test(`axe finds nothing serious: ${theme}, ${language}, ${width}`, async () => {
    const { page, context } = await open(browser, { theme, language, width, height });
    for (const name of Object.keys(PAGES)) {
      await visit(page, name);
      await page.waitForTimeout(200); // What is fetched is drawn, or its absence is.
      assert.deepEqual(await serious(page), [], name);
    }
    await context.close();
  });
}

test('keys alone: choose, open, back, help, and one key acknowledges', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 900 });
  await page.waitForSelector('#alarms li.waits');
  await page.keyboard.press('j');
  await page.waitForSelector('#alarms li.chosen');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#alarm-head h2');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#map');
  await page.keyboard.press('?');
  await page.waitForSelector('dialog');
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
  const before = await page.locator('#alarms li.waits').count();
  await page.keyboard.press('a');
  await page.waitForFunction((count) => document.querySelectorAll('#alarms li.waits').length === count - 1, before);
  // The map by keys; what is focused is seen.
  await page.focus('#map');
  await page.keyboard.press('+');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('0');
  assert.equal(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'solid');
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a cell from the side: its buildings, floors and what is wrong there', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 900 });
  await page.click(`[data-cell="${process.env.CELL}"]`);
  await page.waitForSelector('aside h3:has-text("1栋")');
  await page.waitForSelector('aside .number:has-text("1 层")');
  await page.waitForSelector('aside li button.fire:has-text("101")');
  assert.deepEqual(await serious(page, 'aside'), []);
  await page.click('aside header button');
  await page.waitForSelector('aside', { state: 'detached' });
  assert.deepEqual(complaints, []);
  await context.close();
});

test("a cell's board is printed with its code", async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 1000, language: 'en', hash: `page=admin/cells&cell=${encodeURIComponent(process.env.CELL)}` });
  await page.click('text=Add the code');
  await page.waitForFunction(() => document.querySelector('#board .qr img')?.naturalWidth > 0);
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.locator('header .menu').isVisible(), false, 'on paper there is the board alone');
  assert.equal(await page.locator('#board').isVisible(), true);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a device is added, seen and retired, each time after its difference was shown', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 900, language: 'en', hash: 'page=admin/devices' });
  await page.click('.new');
  const form = page.locator('form.fields');
  await form.locator('[name=id]').fill('SD-NEW');
  await form.locator('[name=name]').fill('Kitchen');
  await form.locator('[name=cell]').fill(process.env.CELL);
  await form.locator('[name=place]').fill('1栋1单元101厨房');
  await form.locator('button.first').click();
  await page.waitForSelector('text=+ device SD-NEW');
  await page.click('text=Change it so');
  await page.waitForSelector('.rows button:has-text("SD-NEW")', { timeout: 15_000 });
  await page.waitForSelector('dl.facts:has-text("native:SD-NEW")', { timeout: 15_000 });
  await page.click('text=Take out of use');
  await page.waitForSelector('text=- device SD-NEW');
  await page.click('text=Change it so');
  await page.waitForSelector('.rows button:has-text("SD-NEW")', { state: 'detached', timeout: 15_000 });
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a device that nobody registered is placed from the waiting room', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 900, language: 'en', hash: 'page=admin/waiting' });
  const row = page.locator('li.burns', { hasText: 'native:NOBODY' });
  await row.locator('.acts button', { hasText: 'Place' }).click();
  const form = row.locator('form.fields');
  await form.locator('[name=id]').fill('SD-1');
  await form.locator('[name=name]').fill('Hall');
  await form.locator('[name=kind]').selectOption('smoke_detector');
  await form.locator('[name=cell]').fill(process.env.CELL);
  await form.locator('button.first').click();
  await page.locator('[role=alert]', { hasText: 'another id' }).waitFor();
  await form.locator('[name=id]').fill('SD-PLACED');
  await form.locator('button.first').click();
  await page.locator('.good[role=status]', { hasText: 'native:NOBODY' }).waitFor();
  await row.waitFor({ state: 'detached' });
  assert.deepEqual(complaints.filter((one) => !one.includes('409')), []);
  await context.close();
});

test('an order is given to a sleeping device, waits, and is taken back', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 900, hash: 'page=admin/orders' });
  const form = page.locator('form.fields');
  await form.locator('[name=device]').fill('HY-9');
  await form.locator('[name=order]').selectOption({ label: '上报间隔 (milesight-em500-pp)' });
  await form.locator('[name=value]').fill('5');
  await form.locator('button.first').click();
  assert.equal(await form.locator('[name=value]').evaluate((field) => field.validity.rangeUnderflow), true, 'too often');
  await form.locator('[name=value]').fill('1200');
  await form.locator('button.first').click();
  const row = page.locator('ol li', { hasText: 'HY-9' }).first();
  await row.locator('text=待下发').waitFor();
  assert.ok((await row.innerText()).includes('report_interval 1200 s'), await row.innerText());
  assert.deepEqual(await serious(page), []);
  await row.locator('button', { hasText: '撤回' }).click();
  await page.locator('.good[role=status]', { hasText: '已撤回' }).waitFor();
  await row.locator('text=已撤回').waitFor();
  assert.equal(await row.locator('button').count(), 0, 'it is over');
  await form.locator('[name=device]').fill('SD-1');
  await form.locator('button.first').click();
  await page.locator('[role=alert]', { hasText: '不能向它下发指令' }).waitFor();
  assert.deepEqual(complaints.filter((one) => !one.includes('409')), []);
  await context.close();
});

test('a line is drawn from the history, with the limit of its rule, and goes out as CSV', async () => {
  const { page, context } = await open(browser, { width: 1440, height: 900, hash: `page=charts&series=${device}:pressure` });
  await page.waitForSelector('.u-over');
  await page.waitForFunction(() => !document.querySelector('.bar button:last-child').disabled);
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('text=导出 CSV')]);
  const { readFileSync } = await import('node:fs');
  const text = readFileSync(await file.path(), 'utf8');
  assert.match(text, /^\uFEFFtime,device,metric,value,unit\r\n/);
  assert.ok(text.split('\r\n').length > 2, text);
  await context.close();
});

test('what is fetched first stays small', async () => {
  const dist = new URL('../../dashboards/web/dist/', import.meta.url);
  const first = async (path) => {
    const found = [], page = await browser.newPage();
    page.on('request', (request) => found.push(new URL(request.url()).pathname));
    await page.goto(`${url}${path}`);
    await page.waitForLoadState('networkidle');
    await page.close();
    const size = (name) => {
      try { return statSync(new URL(`.${name}.gz`, dist)).size; } catch { return statSync(new URL(`.${name}`, dist)).size; }
    };
    return found.filter((name) => name.startsWith('/assets/')).reduce((sum, name) => sum + size(name), 0);
  };
  assert.ok((await first('/')) < 100 * 1024, 'the board has 100 KB');
  assert.ok((await first('/worker/')) < 100 * 1024, 'the worker page has 100 KB');
  const all = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.gz')).reduce((sum, name) => sum + statSync(new URL(name, dist)).size, 0);
  assert.ok(all < 400 * 1024, `all pages have 400 KB, and take ${all}`);
});
