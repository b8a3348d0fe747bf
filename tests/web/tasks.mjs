// The main tasks with a stopwatch: how many taps, keys and fields each takes, and how long the pages make one wait. Reading and thinking are not counted. Prints a table.
import { launch, open } from './browser.mjs';

const browser = await launch(), { page, complaints } = await open(browser, { width: 1440, height: 900, language: 'en' });
const rows = [];

async function task(name, work) {
  const count = { taps: 0, keys: 0, fields: 0 };
  const hand = {
    tap: (where) => ((count.taps += 1), page.locator(where).first().click()),
    key: (name) => ((count.keys += 1), page.keyboard.press(name)),
    fill: (where, text) => ((count.fields += 1), page.locator(where).first().fill(text)),
    pick: (where, value) => ((count.fields += 1), page.locator(where).first().selectOption(value)),
    see: (where, state = 'visible') => page.locator(where).first().waitFor({ state, timeout: 20_000 }),
  };
  const begin = performance.now();
  await work(hand);
  rows.push(`| ${name} | ${count.taps} | ${count.keys} | ${count.fields} | ${((performance.now() - begin) / 1000).toFixed(1)} |`);
}

const cell = process.env.CELL;
await task('acknowledge the fire that waits first', async ({ key, see }) => {
  const waiting = await page.locator('#alarms li.waits').count();
  await key('a');
  await page.waitForFunction((before) => document.querySelectorAll('#alarms li.waits').length === before - 1, waiting);
  await see('#alarms');
});
await task('open an alarm, go, say what it was', async ({ tap, pick, see }) => {
  await tap('#alarms li.fire a');
  await tap('[data-deed=acknowledge], [data-deed=on_the_way]');
  await see('[data-deed=resolve]');
  await tap('[data-deed=resolve]');
  await pick('[name=disposition]', 'test');
  await tap('#deed-form button.first');
  await see('#judged');
});
await task('see the pressure of a hydrant over the last day', async ({ tap, see }) => {
  await tap('nav.wide a[href="#page=hydrants"]');
  await tap('#hydrants a');
  await see('.u-over', 'attached');
});
await task('find why a message raised no alarm, and try it again', async ({ tap, see }) => {
  await tap('nav.wide a[href="#page=admin"]');
  await tap('.admin nav a[href="#page=admin/letters"]');
  await see('.reason');
  await tap('.acts button');
  await see('[role=status]');
});
await task('add a device', async ({ tap, fill, see }) => {
  await tap('.admin nav a[href="#page=admin/devices"]');
  await tap('.new');
  await fill('[name=id]', 'SD-TASK');
  await fill('[name=name]', 'Kitchen');
  await fill('[name=cell]', cell);
  await fill('[name=place]', '1栋2单元301厨房');
  await tap('form.fields button.first');
  await tap('.acts button.first:has-text("Change it so")');
  await see('.rows button:has-text("SD-TASK")');
});
await task('add a worker with a duty', async ({ tap, fill, pick, see }) => {
  await tap('.admin nav a[href="#page=admin/people"]');
  await tap('button.search');
  await fill('[name=id]', 'new-worker');
  await fill('form [name=name]', '新网格员');
  await fill('[name=phone]', '02500000009');
  await tap('form.fields button.first');
  await see('.rows button:has-text("新网格员")');
  await tap('.rows button:has-text("新网格员")');
  await tap('text=New duty');
  await fill('[name=cell]', cell);
  await pick('[name=role]', 'worker');
  await tap('form.fields button.first');
  await see('.record b:has-text("worker")');
});
await task('read who would be called for a fire here', async ({ tap, see }) => {
  await tap('.admin nav a[href="#page=admin/rules"]');
  await see('.ladder li');
});
await browser.close();
console.log(`| task | taps | keys | fields | seconds of waiting |\n|---|---|---|---|---|\n${rows.join('\n')}`);
if (complaints.length > 0) throw new Error(complaints.join('\n'));
