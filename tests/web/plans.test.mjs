// Floor plans in the browser: put in and hung with devices by keys and mouse, zoomed to from the map, seen on an alarm's card on the wall and on the phone.
// The tests stand in this order: the first makes the plan that the others look at.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { api, launch, open, serious, until } from './browser.mjs';
import { phone } from './phone.mjs';

const { ALARM, CELL } = process.env;
const picture = (name) => new URL(`../../config/demo/plans/${name}.png`, import.meta.url).pathname;
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const planNow = async (code) => (await api('GET', '/api/v1/plans')).items.find((one) => one.code === code);
/** Stored is not yet in force. */
async function hanging(wanted) {
  const found = await until(`${wanted} on the plan`, async () => {
    const devices = (await planNow('G1-1F'))?.devices ?? [];
    return devices.map(({ device }) => device).join() === wanted && devices;
  });
  return Object.fromEntries(found.map(({ device, at }) => [device, at]));
}
const drawn = (page, where) => page.waitForFunction((within) => document.querySelector(`${within} .picture img`)?.naturalWidth > 0, where);

test('a plan is put in, devices are hung on it by keys and mouse, and all of it is stored', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 1000, language: 'en', hash: 'page=admin/plans' });
  await page.click('.new');
  const form = page.locator('#plan-form');
  await form.locator('[name=code]').fill('G1-1F');
  await form.locator('[name=cell]').fill(CELL);
  await form.locator('[name=building]').fill('1栋');
  await form.locator('[name=floor]').fill('0');
  await form.locator('[name=file]').setInputFiles(picture('school'));
  await form.locator('button.first').click();
  await page.locator('#plan-error', { hasText: 'no floor 0' }).waitFor();
  await form.locator('[name=floor]').fill('1');
  await form.locator('button.first').click();
  await drawn(page, '.stage');
  // By keys: onto the plan, to the right, a little up.
  await page.locator('[data-free=SD-1]').press('Enter');
  await page.waitForSelector('.pin.chosen[data-device=SD-1]:focus');
  for (const key of ['ArrowRight', 'ArrowRight', 'Shift+ArrowUp']) await page.keyboard.press(key);
  // By mouse: another device of the building, found by its name.
  await page.fill('.free input', 'SD-2');
  await page.click('[data-free=SD-2]');
  const pin = page.locator('.pin[data-device=SD-2]'), from = await pin.boundingBox(), sheet = await page.locator('.stage .picture').boundingBox();
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(sheet.x + sheet.width * 0.4, sheet.y + sheet.height * 0.3, { steps: 4 });
  await page.mouse.move(sheet.x + sheet.width * 0.25, sheet.y + sheet.height * 0.75, { steps: 4 });
  await page.mouse.up();
  assert.deepEqual(await serious(page, '.panel'), []);
  await page.click('#save-pins');
  await page.locator('[role=status]', { hasText: 'Stored' }).waitFor();
  const at = await hanging('SD-1,SD-2');
  assert.deepEqual(at['SD-1'], [0.52, 0.499]);
  assert.ok(Math.abs(at['SD-2'][0] - 0.25) < 0.01 && Math.abs(at['SD-2'][1] - 0.75) < 0.01, `${at['SD-2']}`);
  // Taken off again, and not saved: nothing happens.
  await pin.focus();
  await page.keyboard.press('Delete');
  await page.waitForSelector('.pin[data-device=SD-2]', { state: 'detached' });
  await page.click('text=Do not save');
  await page.waitForSelector('.pin[data-device=SD-2]');
  // Saved, it belongs to its own floor again.
  await pin.focus();
  await page.keyboard.press('Delete');
  await page.click('#save-pins');
  await hanging('SD-1');
  assert.deepEqual(complaints.filter((one) => !one.includes('422')), []);
  await context.close();
});

test('a picture of the ground is laid under the cells by its corners', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 1000, language: 'en', hash: 'page=admin/plans' });
  await page.click('.new');
  const form = page.locator('#plan-form');
  await form.locator('[name=code]').fill('GROUND');
  await form.locator('[name=cell]').fill('S1');
  await form.locator('[name=kind]').selectOption('ground');
  await form.locator('[name=file]').setInputFiles(picture('ground'));
  await page.waitForSelector('svg image');
  await page.locator('[aria-label="Upper left corner"]').focus();
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction(() => document.querySelector('svg image').getAttribute('transform').split(' ').length === 6);
  assert.deepEqual(await serious(page, '.panel'), []);
  await form.locator('button.first').click();
  await page.locator('.rows button[aria-current=true]', { hasText: 'GROUND' }).waitFor({ timeout: 15_000 });
  const plan = await planNow('GROUND');
  assert.ok(plan.corners[0][0] < 118.9 && Math.abs(plan.corners[1][0] - 118.94) < 1e-6 && Math.abs(plan.corners[2][1] - 32.1) < 1e-6, JSON.stringify(plan.corners));
  // On the board it lies under the cells, and can be taken away.
  await page.evaluate(() => (location.hash = 'page=board'));
  const layer = page.locator('.layers .ground');
  await layer.waitFor();
  const colour = () => page.evaluate(() => [...document.querySelector('canvas.still').getContext('2d').getImageData(Math.round(innerWidth / 2), Math.round(innerHeight / 2), 1, 1).data].join());
  const pictured = await colour();
  await layer.click();
  await page.waitForFunction((before) => [...document.querySelector('canvas.still').getContext('2d').getImageData(Math.round(innerWidth / 2), Math.round(innerHeight / 2), 1, 1).data].join() !== before, pictured);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('from the map into the building and to the floor, by keys alone, and back', async () => {
  const { page, complaints, context } = await open(browser, { width: 1440, height: 900, language: 'en' });
  await page.waitForSelector('[data-cell]');
  await page.locator(`[data-cell="${CELL}"]`).press('Enter');
  await page.locator('[data-building="1栋"]', { hasText: 'F' }).press('Enter');
  // It opens where it burns.
  await drawn(page, '#floor');
  assert.equal(await page.locator('#floor nav [aria-current]').innerText().then((text) => text.split('\n')[0]), '1F');
  await page.locator('#floor nav [aria-current] .badge.fire').waitFor();
  const pin = page.locator('#floor .pin.fire.calls');
  assert.equal(await pin.innerText(), 'F');
  await pin.press('Enter');
  await page.locator('#floor .chosen a.badge.fire').waitFor();
  await page.keyboard.press('Escape');
  await page.waitForSelector('#floor .chosen', { state: 'detached' });
  await page.keyboard.press('ArrowUp');
  await page.locator('#floor nav [aria-current]', { hasText: '2F' }).waitFor();
  await page.locator('#floor .empty').waitFor();
  await page.keyboard.press('ArrowDown');
  await drawn(page, '#floor');
  const wide = () => page.locator('#floor .picture').boundingBox().then((box) => box.width);
  const whole = await wide();
  await page.keyboard.press('+');
  assert.ok((await wide()) > whole * 1.3, 'larger');
  await page.keyboard.press('0');
  assert.ok(Math.abs((await wide()) - whole) < 1, 'as it was');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#floor', { state: 'detached' });
  await page.waitForFunction(() => document.activeElement.id === 'map'); // The map has the keys again.
  // A wheel goes in and comes out again.
  await page.fill('.find input', 'SD-1');
  await page.keyboard.press('Enter');
  const map = await page.locator('#map').boundingBox();
  await page.mouse.move(map.x + map.width / 2, map.y + map.height / 2);
  for (let turns = 0; turns < 30 && (await page.locator('#floor').count()) === 0; turns += 1) await page.mouse.wheel(0, -300);
  await drawn(page, '#floor');
  for (let turns = 0; turns < 30 && (await page.locator('#floor').count()) === 1; turns += 1) await page.mouse.wheel(0, 300);
  await page.waitForSelector('#floor', { state: 'detached' });
  assert.deepEqual(complaints, []);
  await context.close();
});

for (const [width, height, language, theme] of [[390, 844, 'zh', 'light'], [1280, 800, 'en', 'dark'], [3840, 2160, 'zh', 'dark']]) {
  test(`${width} × ${height}, ${language}, ${theme}: the floor of an alarm is seen, and nothing sticks out`, async () => {
    const { page, complaints, foreign, context } = await open(browser, { width, height, language, theme, hash: `alarm=${ALARM}` });
    await drawn(page, '#detail figure');
    await page.locator('#detail .pin.fire').waitFor();
    if (width < 3840) assert.deepEqual(await serious(page, '#detail figure'), []);
    await page.click('#show-on-plan');
    await drawn(page, '#floor');
    await page.locator('#floor .pin.fire.chosen').waitFor();
    if (width < 3840) assert.deepEqual(await serious(page, '#floor'), []);
    const sticking = await page.evaluate(() => [document.documentElement.scrollWidth - innerWidth, ...[...document.querySelectorAll('#floor button:not(.pin)')].map((one) => (one.clientWidth > 0 ? one.scrollWidth - one.clientWidth - 1 : 0))].filter((more) => more > 0));
    assert.deepEqual(sticking, []);
    const box = await page.locator('#floor .picture').boundingBox(), room = await page.locator('#floor .plan').boundingBox();
    assert.ok(box.x >= room.x && box.x + box.width <= room.x + room.width + 1 && box.height > 100, 'the whole plan is in sight');
    assert.deepEqual(complaints, []);
    assert.deepEqual(foreign, []);
    await context.close();
  });
}

test('the phone shows where on the floor it hangs, and larger', async () => {
  const { page, context, complaints } = await phone(browser, { theme: 'light', worker: 'block' });
  await page.evaluate((id) => (location.hash = `alarm=${id}`), ALARM);
  await drawn(page, '#plan');
  const pin = page.locator('#plan .pin.fire'), sheet = await page.locator('#plan .picture').boundingBox(), at = await pin.boundingBox();
  assert.ok(Math.abs((at.x + at.width / 2 - sheet.x) / sheet.width - 0.52) < 0.02, 'where it was put');
  assert.deepEqual(await serious(page, '#plan'), []);
  await page.click('#plan button');
  await page.waitForFunction(() => document.querySelector('#plan .picture').clientWidth > document.querySelector('#plan .frame').clientWidth * 2);
  const inSight = await page.evaluate(() => {
    const frame = document.querySelector('#plan .frame').getBoundingClientRect(), pin = document.querySelector('#plan .pin').getBoundingClientRect();
    return pin.left >= frame.left && pin.right <= frame.right && pin.top >= frame.top && pin.bottom <= frame.bottom;
  });
  assert.ok(inSight, 'enlarged, it still shows the device');
  assert.deepEqual(complaints, []);
  await context.close();
});
