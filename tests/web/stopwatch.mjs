// The worker's and the resident's tasks with a stopwatch on a slow phone: taps, fields, and the seconds that the app makes one wait. Reading and thinking are not counted.
//
// The slow phone: the processor six times slower than this machine's, a network of 1.6 Mbit/s down, 0.75 up and 150 ms there and back. Prints tables; with TABLES, a Markdown
// file, they replace what stands there between the marks.
import { readFileSync, writeFileSync } from 'node:fs';
import { launch, token, url } from './browser.mjs';

const { CELL, TABLES } = process.env, SLOWER = 6;
const NETWORK = { offline: false, latency: 150, downloadThroughput: 1_600_000 / 8, uploadThroughput: 750_000 / 8 };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

async function api(method, path, body) {
  const answer = await fetch(`${url}${path}`, { method, headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, ...(body && { body: JSON.stringify(body) }) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status}`);
  return answer.json();
}
const browser = await launch(), context = await browser.newContext(PHONE);
await context.addInitScript(() => localStorage.setItem('gridwarden-language', 'zh'));
async function slow(page) {
  const cdp = await context.newCDPSession(page);
  await cdp.send('Network.enable');
  await cdp.send('Network.emulateNetworkConditions', NETWORK);
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
  return cdp;
}
const seconds = (from) => ((performance.now() - from) / 1000).toFixed(1);

// First load, and the second: with the kept page.
const loads = [];
for (const name of ['the first time', 'the second time, kept on the phone']) {
  const page = await context.newPage(), cdp = await slow(page), began = performance.now();
  let bytes = 0;
  cdp.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
  await page.goto(`${url}/worker/`, { waitUntil: 'commit' });
  await page.locator('#login').waitFor();
  const painted = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0);
  // It answers: what is typed stands there.
  await page.locator('#name').fill('wang-li');
  loads.push(`| ${name} | ${(painted / 1000).toFixed(1)} | ${seconds(began)} | ${Math.round(bytes / 1000)} |`);
  await cdp.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.close();
}

const rows = [];
let page;
async function task(name, work) {
  const count = { taps: 0, fields: 0 }, hand = {
    tap: (where) => ((count.taps += 1), page.locator(where).first().click()),
    fill: (where, text) => ((count.fields += 1), page.locator(where).first().fill(text)),
    see: (where, state = 'visible') => page.locator(where).first().waitFor({ state, timeout: 60_000 }),
    count,
  };
  const began = performance.now();
  await work(hand);
  rows.push(`| ${name} | ${count.taps} | ${count.fields} | ${seconds(began)} |`);
}
const openAt = async (hash) => {
  page = await context.newPage();
  await slow(page);
  await page.goto(`${url}/worker/#${hash}`, { waitUntil: 'commit' });
};

const fire = await api('POST', '/api/v1/alarms', { cell: CELL, class: 'fire', text: '厨房有烟' });
await task('acknowledge from sleep: tap the notification, then “Got it”', async ({ tap, see, count }) => {
  count.taps += 1; // The notification; the log-in is kept on the phone.
  await openAt(`alarm=${fire.id}&token=${token}`);
  await tap('#acknowledge');
  await see('#acknowledge:disabled');
});
await task('arrived', async ({ tap, see }) => {
  await tap('#on_site');
  await see('#on_site:disabled');
});
await task('done: a false alarm, cooking', async ({ tap, see }) => {
  await tap('#resolve');
  await tap('form .choices button:nth-child(2)');
  await tap('form .choices:nth-of-type(2) button');
  await tap('form button.first');
  await see('#resolve:disabled, .none, .alarm');
});
await task('report a hazard with a photo', async ({ tap, fill, see, count }) => {
  await tap('#tab-hazard');
  await tap('#hazard-form .choices button');
  await fill('[name=place]', '3栋2单元门口');
  await page.locator('#hazard-form select').selectOption(CELL);
  count.taps += 2; // The cell, and the camera's shutter.
  await page.locator('#hazard-form input[type=file]').setInputFiles({ name: 'photo.png', mimeType: 'image/png', buffer: await page.screenshot({ type: 'png' }) });
  await see('#hazard-form .button.chosen');
  await tap('#hazard-form button.first');
  await see('.alarm:has-text("消防车通道堵塞")');
  await see('#waiting', 'detached');
});
const board = await api('POST', `/api/v1/cells/${CELL}/board`, {});
await task('check in on the round by typing', async ({ tap, fill, see }) => {
  await tap('#tab-patrol');
  await fill('[name=code]', board.code);
  await tap('#patrol-form button');
  await see('.panel:has-text("上次")');
});
await api('POST', '/api/v1/roll-calls', { persons: ['wang-li'], note: '查岗' });
await task('answer a roll-call', async ({ tap, see }) => {
  await tap('#tab-alarms');
  await tap('.alarm.test');
  await tap('.here');
  await see('.here:disabled, .none, .alarm');
});
await page.close();
page = await context.newPage();
await slow(page);
await task('a resident reports a hazard, from scanning the board', async ({ tap, fill, see, count }) => {
  count.taps += 1; // What the phone's camera has read is tapped.
  await page.goto(`${url}${new URL(board.link).pathname}`, { waitUntil: 'commit' });
  await tap('#report .choices button');
  await fill('[name=place]', '2单元楼道');
  await tap('#report button.first');
  await see('.thanks');
});
await browser.close();

const tables = `| opened | first picture, s | ready to type, s | KB fetched |\n|---|---|---|---|\n${loads.join('\n')}\n\n| task | taps | fields | seconds of waiting |\n|---|---|---|---|\n${rows.join('\n')}`;
console.log(tables);
if (TABLES) {
  const text = readFileSync(TABLES, 'utf8'), marks = /(<!-- stopwatch -->\n)[^]*(\n<!-- \/stopwatch -->)/;
  if (!marks.test(text)) throw new Error(`${TABLES} has no marks for the tables`);
  writeFileSync(TABLES, text.replace(marks, (_, from, to) => from + tables + to));
}
