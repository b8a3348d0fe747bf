// Web Push from one end to the other: the app subscribes, the gateway encrypts and signs (RFC 8291, 8292), a push service that stands in takes it, the test opens it with the
// browser's keys and hands it to the real service worker, which shows it and says so; a tap on it opens the alarm.
//
// Headless Chromium reaches no push service and has no hand for a notification: the subscription, and the tap, are made here. Everything between them is real.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { api, launch, token, until, url } from './browser.mjs';

const { PUSH_PORT, MQTT_PORT, NAME, ONCE } = process.env;
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const service = `http://127.0.0.1:${PUSH_PORT}`, base64 = (bytes) => bytes.toString('base64url');

/** What the push service took. */
const taken = [];
const server = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    taken.push({ path: request.url, headers: request.headers, body: Buffer.concat(parts) });
    response.writeHead(201).end();
  });
});
let browser;
before(async () => {
  await new Promise((listening) => server.listen(Number(PUSH_PORT), '127.0.0.1', listening));
  browser = await launch();
});
after(async () => {
  await browser.close();
  server.close();
});

/** The keys that a browser would make, and what of them it gives away. */
function subscription() {
  const keys = crypto.createECDH('prime256v1');
  keys.generateKeys();
  const auth = crypto.randomBytes(16);
  return { keys, auth, endpoint: `${service}/phone`, given: { endpoint: `${service}/phone`, expirationTime: null, keys: { p256dh: base64(keys.getPublicKey()), auth: base64(auth) } } };
}

/** RFC 8291 §3.4 from the browser's side; one record of RFC 8188. */
function opened(body, { keys, auth }) {
  const salt = body.subarray(0, 16), length = body[20], sender = body.subarray(21, 21 + length), record = body.subarray(21 + length);
  const hkdf = (key, from, info, bytes) => Buffer.from(crypto.hkdfSync('sha256', key, from, info, bytes));
  const input = hkdf(keys.computeSecret(sender), auth, Buffer.concat([Buffer.from('WebPush: info\0'), keys.getPublicKey(), sender]), 32);
  const cipher = crypto.createDecipheriv('aes-128-gcm', hkdf(input, salt, 'Content-Encoding: aes128gcm\0', 16), hkdf(input, salt, 'Content-Encoding: nonce\0', 12));
  cipher.setAuthTag(record.subarray(-16));
  const plain = Buffer.concat([cipher.update(record.subarray(0, -16)), cipher.final()]);
  assert.equal(plain.at(-1), 2, 'the last record');
  return plain.subarray(0, -1).toString('utf8');
}

/** The gateway's word for who it is, under the key with which the app subscribed. */
function genuine(header, key) {
  const [, word, given] = /^vapid t=([^,]+), k=(.+)$/.exec(header), [head, claims, signature] = word.split('.'), point = Buffer.from(key, 'base64url');
  const jwk = { kty: 'EC', crv: 'P-256', x: base64(point.subarray(1, 33)), y: base64(point.subarray(33)) };
  assert.equal(given, key);
  assert.ok(crypto.verify('sha256', Buffer.from(`${head}.${claims}`), { key: crypto.createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url')));
  assert.equal(JSON.parse(Buffer.from(claims, 'base64url')).aud, service);
}

async function logIn(context) {
  const page = await context.newPage();
  page.on('pageerror', (error) => assert.fail(error.message));
  await page.goto(`${url}/worker/`);
  await page.locator('#name').fill(NAME);
  return page;
}

test('an alarm comes as a notification, is opened and acknowledged; after logging out none comes', async () => {
  const made = subscription(), context = await browser.newContext({ ...PHONE, permissions: ['notifications'] });
  await context.addInitScript((given) => {
    localStorage.setItem('gridwarden-language', 'zh');
    const KEY = 'stands-in-for-the-browsers-subscription', now = () => (localStorage.getItem(KEY) ? { endpoint: given.endpoint, toJSON: () => given, unsubscribe: async () => (localStorage.removeItem(KEY), true) } : null);
    PushManager.prototype.getSubscription = async () => now();
    PushManager.prototype.subscribe = async ({ applicationServerKey, userVisibleOnly }) => {
      if (!userVisibleOnly) throw new Error('browsers refuse this');
      localStorage.setItem(KEY, btoa(String.fromCharCode(...applicationServerKey)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''));
      return now();
    };
  }, made.given);
  const page = await logIn(context);
  await page.locator('#password').fill(ONCE);
  await page.locator('#by-name button').click();
  await page.locator('#new-password').fill('four words and a half');
  await page.locator('#choose button.first').click();
  await page.locator('#tab-settings').click();
  await page.locator('#push-on').click();
  await page.locator('#push-off').waitFor();
  const key = await page.evaluate(() => localStorage.getItem('stands-in-for-the-browsers-subscription'));

  const cdp = await context.newCDPSession(page), registrations = new Map();
  cdp.on('ServiceWorker.workerRegistrationUpdated', ({ registrations: all }) => all.forEach((one) => registrations.set(one.scopeURL, one.registrationId)));
  await cdp.send('ServiceWorker.enable');

  execFileSync('mosquitto_pub', ['-p', MQTT_PORT, '-q', '1', '-t', 'gridwarden/up/SD-1', '-m', JSON.stringify({ values: { smoke: true } })]);
  const pushed = await until('a push', () => taken[0]);
  genuine(pushed.headers.authorization, key);
  assert.equal(pushed.headers['content-encoding'], 'aes128gcm');
  assert.equal(pushed.headers.urgency, 'high', 'a fire wakes a sleeping phone');
  assert.ok(!pushed.body.includes('烟雾'), 'the push service reads nothing');
  const plain = opened(pushed.body, made), told = JSON.parse(plain);
  assert.match(told.title, /烟雾报警/);

  await until('the registration', () => registrations.get(`${url}/worker/`));
  await cdp.send('ServiceWorker.deliverPushMessage', { origin: url, registrationId: registrations.get(`${url}/worker/`), data: plain });
  const shown = await until('a notification', () => page.evaluate(async () => {
    const [one] = await (await navigator.serviceWorker.ready).getNotifications();
    return one && { title: one.title, body: one.body, tag: one.tag, stays: one.requireInteraction };
  }));
  assert.deepEqual(shown, { title: told.title, body: told.body, tag: told.alarm, stays: true });
  const attempt = async () => (await api('GET', `/api/v1/alarms/${told.alarm}`)).attempts.find((one) => one.channel === 'push');
  await until('the receipt that it was shown', async () => (await attempt())?.shown);
  assert.equal((await attempt()).opened, null);

  const worker = context.serviceWorkers().find((one) => one.url().endsWith('/worker/sw.js'));
  await worker.evaluate(async () => {
    const [notification] = await self.registration.getNotifications(), event = new NotificationEvent('notificationclick', { notification });
    let work;
    event.waitUntil = (promise) => (work = promise); // Only a browser's own event has it.
    self.dispatchEvent(event);
    await work;
  });
  await page.locator('#acknowledge').click();
  await page.locator('#acknowledge:disabled', { hasText: '✓' }).waitFor();
  await until('the receipt that it was opened', async () => (await attempt())?.opened);
  assert.equal((await attempt()).reached, 'acknowledged');
  assert.equal((await api('GET', `/api/v1/alarms/${told.alarm}`)).alarm.acknowledged.by, NAME);

  // Who logs out is told no more in this browser.
  await page.locator('#tab-settings').click();
  await page.locator('#log-out').click();
  await page.locator('#login').waitFor();
  const count = taken.length;
  execFileSync('mosquitto_pub', ['-p', MQTT_PORT, '-q', '1', '-t', 'gridwarden/up/SD-2', '-m', JSON.stringify({ values: { smoke: true } })]);
  const second = await until('a second fire', async () => (await api('GET', '/api/v1/alarms?class=fire&open=1')).items.find((one) => one.device?.id === 'SD-2'));
  await until('that nobody was pushed to', async () => (await api('GET', `/api/v1/alarms/${second.id}`)).attempts.find((one) => one.channel === 'push' && one.detail.includes('subscribed browser')));
  assert.equal(taken.length, count);
  await context.close();
});

test('without push the app says what rings instead', async () => {
  const context = await browser.newContext(PHONE);
  await context.addInitScript(() => {
    delete globalThis.PushManager;
    localStorage.setItem('gridwarden-language', 'zh');
  });
  const page = await logIn(context);
  await page.locator('#password').fill('four words and a half');
  await page.locator('#by-name button').click();
  await page.locator('#tab-settings').click();
  await page.locator('.panel', { hasText: '收不到网页通知' }).locator('b', { hasText: '马上： push' }).waitFor();
  await page.locator('.panel', { hasText: '30 秒后： push' }).waitFor();
  await context.close();
});
