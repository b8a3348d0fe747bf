// Camera and microphone, by Chromium's made-up devices: a board's code is scanned from a film of it, a voice note is recorded, kept and played.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { api, launch, token, url } from './browser.mjs';

const { CELL, LINK, QR } = process.env;
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, permissions: ['camera', 'microphone'] };
const FAKE = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];

async function phone(browser) {
  const context = await browser.newContext(PHONE), page = await context.newPage(), complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  await context.addInitScript(() => localStorage.setItem('gridwarden-language', 'zh'));
  await page.goto(`${url}/worker/#token=${token}`);
  await page.waitForSelector('#main');
  return { page, complaints };
}

/** Two frames of 640 × 480 with the code in the middle, a little off white and black as a camera sees it. */
function film(svg) {
  const WIDE = 640, HIGH = 480, side = Number(/viewBox="0 0 (\d+)/.exec(svg)[1]), scale = Math.floor(400 / side);
  const light = Buffer.alloc(WIDE * HIGH, 150), left = (WIDE - side * scale) >> 1, top = (HIGH - side * scale) >> 1;
  const fill = (x, y, value) => {
    for (let row = 0; row < scale; row += 1) light.fill(value, (top + y * scale + row) * WIDE + left + x * scale, (top + y * scale + row) * WIDE + left + (x + 1) * scale);
  };
  for (let y = 0; y < side; y += 1) for (let x = 0; x < side; x += 1) fill(x, y, 225);
  for (const [, x, y] of svg.matchAll(/M(\d+) (\d+)h1v1h-1z/g)) fill(Number(x), Number(y), 30);
  const frame = Buffer.concat([Buffer.from('FRAME\n'), light, Buffer.alloc((WIDE * HIGH) / 2, 128)]);
  return Buffer.concat([Buffer.from(`YUV4MPEG2 W${WIDE} H${HIGH} F10:1 Ip A1:1 C420jpeg\n`), frame, frame]);
}

test("a board's code is scanned by the camera", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gridwarden-')), file = join(folder, 'board.y4m');
  writeFileSync(file, film(QR));
  const browser = await launch([...FAKE, `--use-file-for-fake-video-capture=${file}`]);
  try {
    const { page, complaints } = await phone(browser);
    await page.locator('#tab-patrol').click();
    await page.locator('#scan').click();
    await page.locator('.panel', { hasText: '上次' }).waitFor({ timeout: 60_000 });
    assert.equal(await page.locator('video').count(), 0, 'the camera is off');
    const { items } = await api('GET', `/api/v1/patrol?cell=${CELL}`);
    assert.equal(items.length, 1, `scanned once: ${LINK}`);
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true });
  }
});

test('the camera is off when the page was left before it came on', async () => {
  const browser = await launch(FAKE);
  try {
    const { page, complaints } = await phone(browser);
    await page.evaluate(() => {
      const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (wanted) => {
        await new Promise((allowed) => (window.allow = allowed));
        return (window.camera = await ask(wanted));
      };
    });
    await page.locator('#tab-patrol').click();
    await page.locator('#scan').click();
    await page.waitForFunction(() => window.allow);
    await page.locator('#tab-alarms').click();
    await page.evaluate(() => window.allow());
    await page.waitForFunction(() => window.camera?.getTracks().every(({ readyState }) => readyState === 'ended'));
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
});

test('a voice note is recorded, sent and heard', async () => {
  const alarm = await api('POST', '/api/v1/alarms', { cell: CELL, class: 'supervisory', text: '听一下' }), browser = await launch(FAKE);
  try {
    const { page, complaints } = await phone(browser);
    await page.locator('.alarm', { hasText: alarm.text }).click();
    await page.locator('#voice').click();
    await page.locator('#voice.chosen').waitFor();
    await page.waitForTimeout(1500); // What is said.
    await page.locator('#voice').click();
    await page.locator('.file button', { hasText: '语音' }).waitFor({ timeout: 30_000 });
    await page.locator('.file button').click();
    const long = await page.locator('.file audio').evaluate((audio) => new Promise((give, fail) => {
      audio.onerror = () => fail(new Error(audio.error.message));
      const known = () => Number.isFinite(audio.duration) && give(audio.duration);
      audio.ondurationchange = known;
      audio.onloadedmetadata = () => (known(), (audio.currentTime = 1e6)); // A recording knows its length only at its end.
      audio.load();
    }));
    assert.ok(0.5 < long && long < 10, `${long} s`);
    const [kept] = (await api('GET', `/api/v1/alarms/${alarm.id}/attachments`)).items;
    assert.match(kept.kind, /^audio\//);
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
});
