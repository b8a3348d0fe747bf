// The station is killed and started again while the phone's app is open: it says so, keeps what is done meanwhile, sends it once, and shows what happened.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { api, launch, token, url } from './browser.mjs';

const { PROGRAM, CONFIG, CELL } = process.env;
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

async function start() {
  const station = spawn(PROGRAM, ['run', '-c', CONFIG], { stdio: 'ignore' });
  for (let tries = 0; tries < 300; tries += 1) {
    if (await fetch(`${url}/readyz`).then(({ ok }) => ok, () => false)) return station;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  station.kill('SIGKILL');
  throw new Error('the station did not start');
}
const over = ({ exitCode, signalCode }) => exitCode !== null || signalCode !== null;
const ended = (station, signal) => new Promise((gone) => (over(station) ? gone() : (station.once('exit', gone), station.kill(signal))));
const raise = (text) => api('POST', '/api/v1/alarms', { cell: CELL, class: 'supervisory', text });
const count = async (id, what) => (await api('GET', `/api/v1/alarms/${id}`)).history.filter((entry) => entry.what === what).length;

test('killed and started again while the app is open', async () => {
  let station = await start();
  const browser = await launch();
  try {
    const context = await browser.newContext(PHONE), page = await context.newPage(), complaints = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    await context.addInitScript(() => localStorage.setItem('gridwarden-language', 'zh'));
    const [first, taken] = [await raise('地下室有水'), await raise('楼道堆物')];
    await page.goto(`${url}/worker/#token=${token}`);
    await page.locator('.alarm', { hasText: first.text }).waitFor();
    await page.evaluate(() => navigator.serviceWorker.ready);

    await ended(station, 'SIGKILL');
    await page.locator('#offline').waitFor({ timeout: 30_000 });
    // A whole visit, and a hazard on the way.
    await page.locator('.alarm', { hasText: first.text }).click();
    for (const deed of ['acknowledge', 'on_site']) {
      await page.locator(`#${deed}`).click();
      await page.locator(`#${deed} small`).waitFor();
    }
    await page.locator('.back').click();
    await page.locator('.alarm', { hasText: taken.text }).click();
    await page.locator('#acknowledge').click();
    await page.locator('#acknowledge small').waitFor();
    await page.locator('#tab-hazard').click();
    await page.locator('#hazard-form .choices button').first().click();
    await page.locator('[name=place]').fill('3栋2单元门口');
    await page.locator('#hazard-form select').selectOption(CELL);
    await page.locator('#hazard-form button.first').click();
    await page.locator('#waiting', { hasText: '4' }).waitFor();

    // Without the phone knowing it yet, somebody is faster with one of them, and a new alarm comes.
    await context.setOffline(true);
    station = await start();
    await api('POST', `/api/v1/alarms/${taken.id}/acknowledge`, {});
    const later = await raise('重启之后的告警');
    await context.setOffline(false);
    await page.locator('#offline').waitFor({ state: 'detached', timeout: 30_000 });
    await page.locator('#waiting').waitFor({ state: 'detached', timeout: 60_000 });
    await page.locator('.refused', { hasText: taken.id }).waitFor();
    await page.locator('.alarm', { hasText: later.text }).waitFor();
    await page.locator('.alarm', { hasText: '消防车通道堵塞' }).waitFor();
    assert.deepEqual([await count(first.id, 'acknowledged'), await count(first.id, 'on_site'), await count(taken.id, 'acknowledged')], [1, 1, 1]);
    const hazards = (await api('GET', '/api/v1/alarms?open=1')).items.filter((one) => one.rule === 'hazard');
    assert.equal(hazards.length, 1, 'sent once');
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
    await ended(station, 'SIGTERM');
  }
});
