// Screenshots of every page for docs/pictures, from the demo with its kitchen fire. Started by `make pictures`; one argument, the folder with the programs.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { launch, open } from './browser.mjs';

const root = new URL('../../', import.meta.url).pathname, programs = process.argv[2], folder = `${root}docs/pictures/`, origin = 'http://127.0.0.1:8080';
mkdirSync(folder, { recursive: true });
const demo = spawn('config/demo/run.sh', [programs], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
const waited = async (what, seconds) => {
  for (let tries = 0; tries < seconds * 5; tries += 1) {
    const found = await what().catch(() => null);
    if (found) return found;
    await new Promise((wake) => setTimeout(wake, 200));
  }
  throw new Error(`not within ${seconds} s: ${what}`);
};

try {
  await waited(() => fetch(`${origin}/readyz`).then((answer) => answer.ok), 60);
  const token = readFileSync(`${root}.run/demo/token`, 'utf8').trim(), headers = { Authorization: `Bearer ${token}` };
  // The administrator of the pictures, with a password of one day and a token of one day.
  let chief = token;
  try {
    const environment = { ...process.env, GRIDWARDEN_DEMO_TOKEN: token, GRIDWARDEN_DEMO_WEBHOOK_SECRET: readFileSync(`${root}.run/demo/webhook-secret`, 'utf8') };
    const said = execFileSync(`${programs}/gridwarden`, ['account', 'add', `chief-${Date.now() % 100000}`, '--role', 'administrator,duty_officer', '-c', 'config/demo/station.toml'], { cwd: root, env: environment, encoding: 'utf8' });
    const name = /chief-\d+/.exec(said)[0], once = /one-time password (\S+)/.exec(said)[1], chosen = `pictures ${once}`;
    const ask = (method, path, body, cookie) => fetch(`${origin}${path}`, { method, headers: { 'Content-Type': 'application/json', Origin: origin, ...(cookie && { Cookie: cookie }) }, body: JSON.stringify(body) });
    const cookie = (answer) => answer.headers.get('set-cookie').split(';')[0];
    const first = cookie(await ask('POST', '/api/v1/session', { name, password: once }));
    await ask('PUT', '/api/v1/session/password', { old: once, new: chosen }, first);
    const second = cookie(await ask('POST', '/api/v1/session', { name, password: chosen }));
    chief = (await (await ask('POST', '/api/v1/session/tokens', { label: 'pictures', days: 1 }, second)).json()).token;
  } catch (error) {
    console.error(`without users and the audit log: ${error.message}`);
  }

  const browser = await launch();
  const shoot = async (name, { hash, wait, before, ...size }) => {
    const { page, context } = await open(browser, { origin, token: chief, ...size });
    if (hash) await page.evaluate((to) => (location.hash = to), hash);
    if (wait) await page.waitForSelector(wait);
    if (before) await before(page);
    await page.mouse.move(2, 2);
    await page.waitForTimeout(900);
    await page.screenshot({ path: `${folder}${name}.png` });
    await context.close();
    console.log(name);
  };
  const desk = { width: 1600, height: 900 }, phone = { width: 390, height: 844 };

  await shoot('board-calm', { width: 1920, height: 1080, wait: '#alarms-empty' });
  const fire = await waited(() => fetch(`${origin}/api/v1/alarms?class=fire&open=1`, { headers }).then((answer) => answer.json()).then(({ items }) => items[0]?.id), 90);
  await waited(() => fetch(`${origin}/api/v1/alarms/${fire}`, { headers }).then((answer) => answer.json()).then(({ attempts }) => attempts.length > 2), 60);
  await shoot('board-fire', { width: 1920, height: 1080, wait: '#alarms li.fire' });
  await shoot('board-fire-dark', { width: 1920, height: 1080, theme: 'dark', language: 'en', wait: '#alarms li.fire' });
  await shoot('board-cell', { width: 1920, height: 1080, wait: '[data-cell]', before: (page) => page.click('[data-cell]') });
  const places = async (page) => {
    await page.fill('.find input', '听泉里一期');
    await page.keyboard.press('Enter');
    await page.waitForSelector('[data-building="听泉里2栋"]');
  };
  await shoot('board-buildings', { width: 1920, height: 1080, wait: '.layers .ground', before: places });
  await shoot('board-floor', { width: 1920, height: 1080, wait: '#alarms li.fire', before: async (page) => {
    await places(page);
    await page.click('[data-building="听泉里2栋"]');
    await page.click('#floor .pin.fire');
  } });
  await shoot('board-floor-phone', { ...phone, hash: `alarm=${fire}`, wait: '#show-on-plan', before: (page) => page.click('#show-on-plan') });
  await shoot('board-4k', { width: 3840, height: 2160, wait: '#alarms li.fire' });
  await shoot('board-phone', { ...phone, wait: '#alarms li.fire' });
  await shoot('alarm', { ...desk, hash: `alarm=${fire}`, wait: '#told li' });
  await shoot('alarm-phone', { ...phone, hash: `alarm=${fire}`, wait: '#alarm-head h2' });
  await shoot('hydrants', { ...desk, hash: 'page=hydrants', wait: '#hydrants li' });
  await shoot('charts', { ...desk, hash: 'page=charts&series=HY-01:pressure,HY-02:pressure,HY-03:pressure', wait: '.u-over', before: (page) => page.click('.spans button') });
  await shoot('devices', { ...desk, hash: 'page=health', wait: '#values tr' });
  await shoot('coverage', { ...desk, hash: 'page=coverage', wait: '.answered' });
  await shoot('admin-device', { ...desk, hash: 'page=admin/devices&device=CAM-01', wait: 'dl.facts', before: (page) => page.waitForSelector('.log tr td', { timeout: 60_000 }) });
  await shoot('admin-cells', { ...desk, height: 1100, hash: 'page=admin/cells&cell=SY-1-01', wait: '#board' });
  await shoot('admin-people', { ...desk, hash: 'page=admin/people', wait: '.week', before: (page) => page.locator('.rows button').nth(3).click() });
  await shoot('admin-ladder', { ...desk, hash: 'page=admin/rules', wait: '.ladder li' });
  await shoot('indicators', { ...desk, height: 1100, hash: 'page=indicators', wait: '.tiles li' });
  await shoot('admin-shifts', { ...desk, hash: 'page=admin/shifts', wait: '.week .row' });
  await shoot('admin-modbus', { ...desk, hash: 'page=admin/modbus', wait: 'form.fields .unit', before: async (page) => {
    await page.fill('[name=expect]', 'bar 2..4');
    await page.click('button.first');
    await page.waitForSelector('#made li');
  } });
  await shoot('admin-split', { ...desk, height: 1100, hash: 'page=admin/cells&cell=SY-1-01', wait: '#board', before: async (page) => {
    await page.click('text=拆分');
    await page.fill('[name=code]', 'SY-1-09');
    await page.fill('[name=name]', '梧桐苑南区');
    await page.click('#redraw button.first');
    await page.waitForSelector('.difference');
  } });
  await shoot('admin-rules', { ...desk, height: 1100, hash: 'page=admin/rules', wait: '#edit-rules', before: async (page) => {
    await page.click('#edit-rules');
    const area = page.locator('.source textarea');
    await area.fill((await area.inputValue()).replaceAll('flag = "smoke"', 'flag = "heat_alarm"'));
    await page.waitForSelector('#try:not(:disabled)');
    await page.click('#try');
    await page.waitForSelector('#preview .sums', { timeout: 30_000 });
  } });
  // A detector that somebody put up and nobody registered.
  execFileSync('mosquitto_pub', ['-p', '18830', '-q', '1', '-t', 'gridwarden/up/SD-777', '-m', JSON.stringify({ values: { smoke: true, battery: 94 } })]);
  await waited(() => fetch(`${origin}/api/v1/waiting`, { headers: { Authorization: `Bearer ${chief}` } }).then((answer) => answer.json()).then(({ items }) => items.length > 0), 20);
  await shoot('admin-waiting', { ...desk, hash: 'page=admin/waiting', wait: 'li.burns', before: (page) => page.locator('li.burns .acts button').first().click() });
  // A hydrant on LoRaWAN that sleeps, and what it was told.
  const post = (path, body) => fetch(`${origin}${path}`, { method: 'POST', headers: { Authorization: `Bearer ${chief}`, 'Content-Type': 'application/json' }, body });
  await post('/api/v1/imports/devices?file=picture', 'id,kind,name,address,cell,place\nHY-77,hydrant,消火栓 77,lora:24e124136b502217,SY-1-01,梧桐苑北门\n');
  const told = (order, value) => waited(async () => (await post('/api/v1/devices/HY-77/orders', JSON.stringify({ profile: 'milesight-em500-pp', order, ...(value && { value }) }))).status === 202, 10);
  await told('report_interval', 3600);
  await post('/api/v1/orders/1/withdraw', '');
  await told('report_interval', 1200);
  await shoot('admin-orders', { ...desk, hash: 'page=admin/orders', wait: 'ol li', before: (page) => page.fill('[name=device]', 'HY-77') });
  await shoot('admin-plans', { ...desk, height: 1100, hash: 'page=admin/plans&plan=XLXX-1-2F', wait: '.stage .pin', before: (page) => page.locator('.stage .pin').first().focus() });
  await shoot('admin-ground', { ...desk, height: 1100, hash: 'page=admin/plans&plan=SY', wait: 'svg image' });
  await shoot('admin-import', { ...desk, hash: 'page=admin/imports', wait: 'input[type=file]', before: async (page) => {
    const file = 'id,kind,name,cell,place\nSD-001,smoke_detector,烟感 001,SY-1-01,梧桐苑1栋1单元201客厅\nSD-101,smoke_detector,烟感 101,SY-1-02,梧桐苑7栋3单元301厨房\n';
    await page.setInputFiles('input[type=file]', { name: '设备.csv', mimeType: 'text/csv', buffer: Buffer.from(file) });
    await page.waitForSelector('.difference');
  } });
  if (chief !== token) {
    await shoot('admin-users', { ...desk, hash: 'page=admin/accounts', wait: '.rows button', before: (page) => page.locator('.rows button').first().click() });
    await shoot('admin-audit', { ...desk, hash: 'page=admin/audit', wait: 'tbody tr' });
  }
  // After the kitchen: a drill beside a fire would be refused, and is only begun where nothing is real.
  await shoot('exercises', { ...desk, hash: 'page=exercises', wait: '#begin-roll-calls', before: async (page) => {
    await page.fill('#begin-roll-calls [name=cell]', 'SY-1');
    for (let press = 0; press < 2; press += 1) await page.click('#begin-roll-calls button.first');
    await page.waitForSelector('#roll-calls li', { timeout: 30_000 });
  } });
  const login = await browser.newContext({ viewport: { width: 1280, height: 800 } }), door = await login.newPage();
  await door.goto(origin);
  await door.waitForSelector('#login');
  await door.screenshot({ path: `${folder}login.png` });
  // Last, for the demo ends with it.
  await shoot('lost', { width: 1920, height: 1080, before: async (page) => {
    demo.kill('SIGTERM');
    await page.waitForSelector('#lost strong', { timeout: 60_000 });
  } });
  await browser.close();
} finally {
  demo.kill('SIGTERM');
}
