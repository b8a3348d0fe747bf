// The worker's and the resident's tasks with a stopwatch on a slow phone: taps, fields, and the seconds that the app makes one wait. Reading and thinking are not counted.
//
// The slow phone: the processor six times slower than this machine's, a network of 1.6 Mbit/s down, 0.75 up and 150 ms there and back. Prints tables; with TABLES, a Markdown
// file, they replace what stands there between the marks.
//
// How soon the app can be used is also counted, for a machine that has much else to do measures mostly itself: the processor's own time (not the clock's) times six, a round trip for each request that had to
// wait for another one's answer and one for the connection, and the bytes.
import { readFileSync, writeFileSync } from 'node:fs';
import { api, launch, url } from './browser.mjs';

const { CELL, NAME, ONCE, TABLES } = process.env, SLOWER = 6;
const LATENCY_MS = 150, DOWN = 1_600_000 / 8, NETWORK = { offline: false, latency: LATENCY_MS, downloadThroughput: DOWN, uploadThroughput: 750_000 / 8 };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const browser = await launch();
async function phone() {
  const context = await browser.newContext(PHONE);
  await context.addInitScript(() => localStorage.setItem('gridwarden-language', 'zh'));
  return context;
}
async function slow(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.enable');
  await cdp.send('Network.emulateNetworkConditions', NETWORK);
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
}
const seconds = (from) => ((performance.now() - from) / 1000).toFixed(1);
const toType = (page) => page.locator('#name').fill('wang-li'), toTap = (page) => page.locator('.alarm').first().click({ trial: true });

/** The app has been open on this phone once. */
async function visited(context, usable) {
  const page = await context.newPage();
  await page.goto(`${url}/worker/`);
  await usable(page);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.close();
  return context;
}
async function loggedIn() {
  const context = await phone(), chosen = 'four words and a half', options = (data) => ({ headers: { Origin: url }, data });
  for (const password of fresh ? [ONCE, chosen] : [chosen]) {
    await context.request.post(`${url}/api/v1/session`, options({ name: NAME, password }));
    if (password === ONCE) await context.request.put(`${url}/api/v1/session/password`, options({ old: ONCE, new: chosen }));
  }
  fresh = false;
  return visited(context, toTap);
}
let fresh = true;

/** Requests of a page, each with how many answers it had to wait for: that of the page itself, of what that names, of what a script asks for. */
function followed(cdp) {
  const depth = new Map(), found = { bytes: 0, trips: 0 };
  cdp.on('Network.requestWillBeSent', ({ request, initiator }) => {
    const by = initiator.url ?? initiator.stack?.callFrames[0]?.url ?? initiator.stack?.parent?.callFrames[0]?.url;
    depth.set(request.url, 1 + (depth.get(by) ?? 0));
  });
  cdp.on('Network.responseReceived', ({ response }) => {
    const own = depth.get(response.url) ?? 1;
    if (response.fromServiceWorker || response.fromDiskCache) depth.set(response.url, own - 1); // Kept here: nobody waited.
    else found.trips = Math.max(found.trips, own);
  });
  cdp.on('Network.loadingFinished', ({ encodedDataLength }) => (found.bytes += encodedDataLength));
  return found;
}

// From the tap on the icon until it can be used: the first time, with the kept page, and with the log-in kept too, which shows his alarms.
const fire = await api('POST', '/api/v1/alarms', { cell: CELL, class: 'fire', text: '厨房有烟' });
const loads = [];
async function load(name, make, usable, { api = true } = {}) {
  const counting = await (await make()).newPage(), cdp = await counting.context().newCDPSession(counting);
  if (!api) await counting.route('**/api/**', () => {}); // Never answered: it is not needed.
  await cdp.send('Network.enable');
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
  const counted = followed(cdp);
  await counting.goto(`${url}/worker/`, { waitUntil: 'commit' });
  await usable(counting);
  const { metrics } = await cdp.send('Performance.getMetrics'), work = metrics.find((one) => one.name === 'TaskDuration').value * SLOWER;
  const network = counted.trips === 0 ? 0 : ((counted.trips + 1) * LATENCY_MS) / 1000 + counted.bytes / DOWN;
  await counting.context().close();

  const page = await (await make()).newPage();
  await slow(page);
  const began = performance.now();
  await page.goto(`${url}/worker/`, { waitUntil: 'commit' });
  await usable(page);
  loads.push(`| ${name} | ${Math.round(counted.bytes / 1000)} | ${counted.trips} | ${network.toFixed(1)} | ${work.toFixed(1)} | **${(network + work).toFixed(1)}** | ${seconds(began)} |`);
  await page.context().close();
}
await load('the first time: the log-in', phone, toType);
await load('again, not logged in: the log-in', async () => visited(await phone(), toType), toType);
await load('again, logged in: his alarms', loggedIn, toTap, { api: false });

const rows = [], own = await loggedIn();
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
  page = await own.newPage();
  await slow(page);
  await page.goto(`${url}/worker/#${hash}`, { waitUntil: 'commit' });
};

await task('acknowledge from sleep: tap the notification, then “Got it”', async ({ tap, see, count }) => {
  count.taps += 1; // The notification; the log-in is kept on the phone.
  await openAt(`alarm=${fire.id}`);
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
page = await (await phone()).newPage();
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

const tables = `| opened | KB fetched | answers waited for, one after another | network, s | processor, s | together, s | measured here, s |\n|---|---|---|---|---|---|---|\n${loads.join('\n')}\n\n| task | taps | fields | seconds of waiting |\n|---|---|---|---|\n${rows.join('\n')}`;
console.log(tables);
if (TABLES) {
  const text = readFileSync(TABLES, 'utf8'), marks = /(<!-- stopwatch -->\n)[^]*(\n<!-- \/stopwatch -->)/;
  if (!marks.test(text)) throw new Error(`${TABLES} has no marks for the tables`);
  writeFileSync(TABLES, text.replace(marks, (_, from, to) => from + tables + to));
}
