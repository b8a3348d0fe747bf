// The station's page: cells, alarms and newest values, as they are now, for whoever is logged in: by a session whose cookie no script can read, or by a token.
//
// Small on purpose: no framework, no build, nothing from outside. Everything from the gateway enters the page as text (textContent), never as
// HTML. One event stream carries changes; it is opened by fetch, because an EventSource cannot send the token in a header. The lists are fetched
// after the stream's `hello`, so that no change falls between. When the stream is lost the page says so over everything, for as long as it lasts.

import { ask, remember, remembered, send } from './gateway.js';
import { $, clockTime, element } from './element.js';
import { metricName, say, spoken, switchLanguage, unitName, word } from './words.js';
import * as detail from './alarm.js';

const CLASSES = ['fire', 'supervisory', 'trouble', 'disabled', 'test']; // Worst first.
const CLOSED_SHOWN = 20, ALARMS_MAX = 500, VALUES_SHOWN = 20, PAGES_MAX = 20;
const SILENCE_MAX_MS = 40_000; // The gateway sends a comment every 15 s.

const state = { cells: new Map(), alarms: new Map(), devices: new Map(), order: [], scheme: null, cell: null, busy: new Set(), full: false, loaded: false };
let lastId = null, lastHeard = null, follower = null, drawn = false;

// ---- what the gateway says ---------------------------------------------------------------------------------------------------------------

async function every(path, cursor, take, most = Infinity) {
  let next = null, count = 0;
  for (let page = 0; page < PAGES_MAX && count < most; page += 1) {
    const url = new URL(path, location.origin);
    if (next !== null) url.searchParams.set(cursor, next);
    const answer = await (await ask(url)).json();
    answer.items.forEach(take);
    count += answer.items.length;
    next = answer.next;
    if (next === null) return true;
  }
  return false;
}

async function fetchAll() {
  const cells = new Map(), alarms = new Map(), devices = new Map();
  await every('/api/v1/cells?geometry=1&limit=500', 'after', (cell) => cells.set(cell.code, cell));
  await every('/api/v1/devices?limit=500', 'after', (device) => devices.set(device.id, device));
  const all = await every('/api/v1/alarms?open=1&limit=200', 'before', (alarm) => alarms.set(alarm.id, alarm), ALARMS_MAX);
  const closed = await (await ask(`/api/v1/alarms?open=0&limit=${CLOSED_SHOWN}`)).json();
  closed.items.forEach((alarm) => alarms.set(alarm.id, alarm));
  const order = [...devices.values()].filter((device) => device.values.length)
    .sort((a, b) => (b.last_seen ?? '').localeCompare(a.last_seen ?? '')).slice(0, VALUES_SHOWN).map((device) => device.id);
  Object.assign(state, { cells, alarms, devices, order, full: !all });
  drawn = false;
}

// One stream until it ends or falls silent; throws.
async function follow(stop) {
  const headers = lastId === null ? {} : { 'Last-Event-ID': lastId };
  const watchdog = new AbortController();
  let timer = null;
  const alive = () => { clearTimeout(timer); timer = setTimeout(() => watchdog.abort(new Error('silent')), SILENCE_MAX_MS); };
  alive();
  try {
    const response = await ask('/api/v1/events?readings=1', { headers, signal: AbortSignal.any([stop, watchdog.signal]) });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error('the stream ended');
      alive();
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) await take(block);
      lastHeard = new Date();
      draw();
    }
  } finally {
    clearTimeout(timer);
    watchdog.abort();
  }
}

async function take(block) {
  let kind = 'message', id = null, data = '';
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 1) continue; // A comment.
    const value = line.slice(colon + 1).replace(/^ /, '');
    const name = line.slice(0, colon);
    if (name === 'event') kind = value;
    else if (name === 'id') id = value;
    else if (name === 'data') data += value;
  }
  if (!data) return;
  const body = JSON.parse(data);
  if (kind === 'hello' || kind === 'lagged') {
    await fetchAll(); // After hello nothing can be missed: what changes meanwhile waits in the stream.
    connected(true);
    detail.reload();
  } else if (kind === 'alarm') { changed(body.alarm); detail.heard(body); }
  else if (kind === 'reading') read(body);
  else if (kind === 'presence') Object.assign(state.devices.get(body.device) ?? {}, { online: body.online });
  if (id !== null) lastId = id; // Only now: what was not taken in comes again.
}

function changed(alarm) {
  state.alarms.set(alarm.id, alarm);
  const closed = [...state.alarms.values()].filter((one) => !one.open).sort(newestFirst);
  for (const old of closed.slice(CLOSED_SHOWN)) state.alarms.delete(old.id);
}

function read(reading) {
  const device = state.devices.get(reading.device);
  if (!device) return;
  for (const value of reading.values) {
    const old = device.values.findIndex((one) => one.metric === value.metric);
    const fresh = { ...value, time: reading.time, received: reading.received };
    if (old < 0) device.values.push(fresh);
    else if (device.values[old].time <= reading.time) device.values[old] = fresh;
  }
  device.last_seen = reading.received;
  device.fresh = true;
  state.order = [device.id, ...state.order.filter((id) => id !== device.id)].slice(0, VALUES_SHOWN);
}

async function keepFollowing() {
  follower?.abort();
  const stop = follower = new AbortController();
  for (let failures = 0; !stop.signal.aborted;) {
    const before = lastHeard;
    let why = '';
    try {
      await follow(stop.signal);
    } catch (error) {
      if (stop.signal.aborted) return;
      if (error.status === 401) return login(remembered('token') ? say('badToken') : '');
      why = error.status ? error.message : '';
    }
    if (lastHeard !== before) failures = 0;
    connected(false, why);
    failures += 1;
    await new Promise((wake) => setTimeout(wake, Math.min(10_000, 500 * 2 ** failures) * (0.5 + Math.random() / 2)));
  }
}

function tell(text) {
  $('act-error').textContent = text;
  $('act-error').hidden = false;
}

async function acknowledge(id) {
  state.busy.add(id);
  drawn = false; draw();
  try {
    const answer = await ask(`/api/v1/alarms/${encodeURIComponent(id)}/acknowledge`, { method: 'POST' });
    changed(await answer.json());
    $('act-error').hidden = true;
  } catch (error) {
    tell(`${say('failed')} ${id}: ${detail.why(error)}`);
  }
  state.busy.delete(id);
  drawn = false; draw();
}

// ---- drawing ----------------------------------------------------------------------------------------------------------------------------

const newestFirst = (a, b) => Number(b.id.slice(2)) - Number(a.id.slice(2));
const unanswered = (alarm) => alarm.state === 'unacknowledged' || alarm.state === 'returned_unacknowledged';
const within = (alarm, code) => alarm.cell.code === code || (state.cells.get(alarm.cell.code)?.path.includes(code) ?? false);

function drawMap() {
  const map = $('map'), schemes = [...new Set([...state.cells.values()].map((cell) => cell.scheme))];
  if (!schemes.includes(state.scheme)) state.scheme = schemes[0] ?? null;
  $('scheme').hidden = schemes.length < 2;
  $('scheme').replaceChildren(...schemes.map((scheme) => element('option', { text: scheme })));
  $('scheme').value = state.scheme ?? '';
  const cells = [...state.cells.values()].filter((cell) => cell.scheme === state.scheme && cell.geometry)
    .sort((a, b) => a.path.length - b.path.length);
  $('map-empty').hidden = cells.length > 0;
  map.toggleAttribute('hidden', cells.length === 0);
  map.replaceChildren();
  if (cells.length === 0) return;
  const points = cells.flatMap((cell) => cell.geometry.coordinates.flat(2));
  const [west, east] = [Math.min(...points.map((p) => p[0])), Math.max(...points.map((p) => p[0]))];
  const [south, north] = [Math.min(...points.map((p) => p[1])), Math.max(...points.map((p) => p[1]))];
  const squeeze = Math.cos((south + north) / 2 * Math.PI / 180); // A degree of longitude is shorter than one of latitude.
  const width = (east - west) * squeeze || 1e-6, height = north - south || 1e-6;
  // So that a unit is a pixel. A window that is being resized may have no size for a moment.
  const scale = Math.min(Math.max(map.parentElement.clientWidth - 44, 100) / width, Math.max(innerHeight * 0.6, 100) / height);
  const place = ([x, y]) => [((x - west) * squeeze * scale + 4), ((north - y) * scale + 4)];
  map.setAttribute('viewBox', `0 0 ${width * scale + 8} ${height * scale + 8}`);
  const parents = new Set(cells.map((cell) => cell.parent));
  const labels = [];
  for (const cell of cells) {
    const leaf = !parents.has(cell.code);
    const standing = [...state.alarms.values()].filter((alarm) => alarm.open && (leaf ? within(alarm, cell.code) : alarm.cell.code === cell.code));
    const worst = CLASSES.find((one) => standing.some((alarm) => alarm.class === one));
    const loud = standing.some((alarm) => alarm.class === worst && unanswered(alarm));
    const shape = cell.geometry.coordinates.flat().map((ring) => `M${ring.map((point) => place(point).map((n) => n.toFixed(1)).join(' ')).join('L')}Z`).join('');
    const kind = [leaf && 'leaf', worst, loud && 'unanswered', state.cell === cell.code && 'chosen'].filter(Boolean).join(' ');
    const path = element('svg:path', { class: kind, attributes: { d: shape, 'fill-rule': 'evenodd' } },
      element('svg:title', { text: `${cell.name} ${cell.code}\n${cell.responsible?.name ?? say('nobody')}` }));
    if (leaf) {
      path.setAttribute('tabindex', '0');
      path.setAttribute('role', 'button');
      const choose = () => { state.cell = state.cell === cell.code ? null : cell.code; drawn = false; draw(); };
      path.addEventListener('click', choose);
      path.addEventListener('keydown', (event) => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); choose(); } });
    }
    map.append(path);
    const ring = cell.geometry.coordinates[0][0].slice(0, -1).map(place);
    const [x, y] = [0, 1].map((axis) => ring.reduce((sum, point) => sum + point[axis], 0) / ring.length);
    const across = Math.max(...ring.map((point) => point[0])) - Math.min(...ring.map((point) => point[0]));
    if (leaf && cell.name.length * 13 < across) labels.push(element('svg:text', { class: worst ? 'on-colour' : '', text: cell.name, attributes: { x, y } }));
    if (worst) labels.push(element('svg:text', { class: 'count', text: `${say(worst)} ${standing.length}`, attributes: { x, y: y + 18 } }));
  }
  map.append(...labels); // Over all shapes.
}

function drawAlarm(alarm) {
  const owner = alarm.owner ? (alarm.owner.name || alarm.owner.id) : say('nobody');
  const facts = [alarm.id, word('stage', alarm.stage), say(alarm.state), alarm.held && word('held', alarm.held.how), alarm.cell.path.join(' › ') || alarm.cell.code];
  if (alarm.device) facts.push([alarm.device.name || alarm.device.id, alarm.device.place].filter(Boolean).join(' · '));
  facts.push(`${say('owner')}: ${owner}`);
  if (alarm.acknowledged) facts.push(`${say('acknowledgedBy')}: ${alarm.acknowledged.by}${alarm.acknowledged.note ? ` (${alarm.acknowledged.note})` : ''}`);
  if (alarm.late) facts.push(`${say('late')}${alarm.late.age_s === null ? '' : ` ${Math.round(alarm.late.age_s)} s`}`);
  const link = element('a', { class: 'open', attributes: { href: `#alarm=${alarm.id}` } },
    element('div', { class: 'head' },
      element('span', { class: `badge ${alarm.class}`, text: say(alarm.class) }),
      element('span', { class: 'text', text: alarm.text }),
      element('time', { text: clockTime(alarm.raised), attributes: { datetime: alarm.raised } })),
    element('p', { class: 'facts', text: facts.filter(Boolean).join(' | ') }));
  const item = element('li', { class: `${alarm.class}${alarm.open ? '' : ' closed'}`, attributes: { 'data-id': alarm.id } }, link);
  if (unanswered(alarm)) {
    const button = element('button', { text: say(state.busy.has(alarm.id) ? 'sending' : 'acknowledge'), attributes: { type: 'button' } });
    button.disabled = state.busy.has(alarm.id);
    button.addEventListener('click', () => acknowledge(alarm.id));
    item.append(button);
  }
  return item;
}

function drawAlarms() {
  const shown = [...state.alarms.values()].filter((alarm) => state.cell === null || within(alarm, state.cell)).sort(newestFirst);
  $('all-cells').hidden = state.cell === null;
  $('all-cells').textContent = `${state.cells.get(state.cell)?.name ?? ''} × ${say('allCells')}`;
  $('alarms-empty').hidden = shown.length > 0;
  $('alarms').replaceChildren(...shown.map(drawAlarm));
}

function drawSummary() {
  const open = [...state.alarms.values()].filter((alarm) => alarm.open);
  const counts = CLASSES.map((one) => [one, open.filter((alarm) => alarm.class === one).length]).filter(([, count]) => count > 0);
  const words = counts.map(([one, count]) => `${say(one)} ${count}`).join('  ') || say('calm');
  $('summary').textContent = state.full ? `${words} (${say('truncated')} ${ALARMS_MAX})` : words;
  $('summary').className = counts[0]?.[0] === 'fire' ? 'fire' : '';
  document.title = counts.length ? `${words} · ${say('title')}` : say('title');
}

function drawValues() {
  $('values-empty').hidden = state.order.length > 0;
  const rows = state.order.map((id) => state.devices.get(id)).filter(Boolean).map((device) => {
    const newest = device.values.toSorted((a, b) => b.time.localeCompare(a.time)).slice(0, 3);
    const lines = newest.map(({ metric, value, unit, flag, quality }) => {
      const shown = flag ? say(value ? 'yes' : 'no') : `${Number(value.toFixed(3))}${unit ? ` ${unitName(unit)}` : ''}`;
      return `${metricName(metric)} ${shown}${quality === 'good' ? '' : ` (${say(quality)})`}`;
    });
    const row = element('tr', { class: [device.fresh && 'new', device.online === false && 'silent'].filter(Boolean).join(' ') },
      element('td', { text: [device.name || device.id, device.place].filter(Boolean).join(' · ') }),
      element('td', { class: 'value' }, ...lines.map((line) => element('div', { text: line }))),
      element('td', { class: 'time', text: device.last_seen ? clockTime(device.last_seen) : '' }));
    device.fresh = false;
    return row;
  });
  $('values').replaceChildren(...rows);
}

// At most once per frame, however fast the readings come, and never under a finger: a button replaced between down and up would lose the tap.
let waiting = false, pressed = false;
addEventListener('pointerdown', () => { pressed = true; }, true);
for (const end of ['pointerup', 'pointercancel']) addEventListener(end, () => setTimeout(() => { pressed = false; draw(); }, 50), true);
function draw() {
  if (waiting || pressed) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (pressed) return;
    detail.draw();
    if ($('main').hidden) { drawSummary(); return; }
    const alarmsNow = JSON.stringify([spoken(), [...state.alarms], state.cell, state.scheme, state.full]);
    if (!drawn || alarmsNow !== draw.alarms) { drawMap(); drawAlarms(); drawSummary(); draw.alarms = alarmsNow; }
    drawn = true;
    drawValues();
  });
}

function connected(yes, why = '') {
  $('lost').hidden = yes;
  document.body.classList.toggle('lost', !yes);
  if (!yes) {
    $('lost-since').textContent = lastHeard ? `${say('lostSince')} ${clockTime(lastHeard)}` : '';
    $('lost-why').textContent = why;
    document.title = `⚠ ${say('lost')}`;
    drawn = false;
  } else {
    state.loaded = true;
    route();
  }
}

// `#alarm=A-17` is one alarm, also as a link and before the log-in; without it the page is the overview.
function route() {
  const id = new URLSearchParams(location.hash.slice(1)).get('alarm');
  detail.show(id);
  $('main').hidden = id !== null || !state.loaded;
  drawn = false;
  draw();
}

// ---- beginning --------------------------------------------------------------------------------------------------------------------------

function speak() {
  document.documentElement.lang = spoken() === 'zh' ? 'zh-CN' : 'en';
  for (const spoken of document.querySelectorAll('[data-say]')) spoken.textContent = say(spoken.dataset.say);
  $('language').textContent = say('language');
  $('legend').replaceChildren(...CLASSES.map((one) => element('li', {}, element('span', { class: `badge ${one}`, text: say(one) }))));
  drawn = false;
}

function login(error = '') {
  follower?.abort();
  remember('token', null);
  detail.show(null);
  state.loaded = false;
  for (const part of ['main', 'lost', 'choose', 'who', 'log-out']) $(part).hidden = true;
  document.body.classList.remove('lost');
  $('login-error').textContent = error;
  $('login').hidden = false;
  $('name').focus();
}

// A password is chosen: after a one-time password, or with an invitation.
let chosen = null;
function choose(why, optional, take) {
  chosen = take;
  $('login').hidden = true;
  $('choose-why').textContent = why;
  $('choose-error').textContent = '';
  $('no-password').hidden = !optional;
  $('choose').hidden = false;
  $('new-password').focus();
}

async function choice(password) {
  try {
    await chosen(password);
    $('new-password').value = '';
    $('choose').hidden = true;
    await enter();
  } catch (error) {
    $('choose-error').textContent = error.message;
  }
}

// `old` is the password just typed, if any: a one-time password is changed at once.
async function enter(old = null) {
  if (remembered('token') && !/^[\x20-\x7e]+$/.test(remembered('token'))) return login(say('badToken')); // A header cannot carry it.
  try {
    const me = await (await ask('/api/v1/session')).json();
    if (me.must_change && old === null) return login(say('mustChange'));
    if (me.must_change) return choose(say('mustChange'), false, (password) => send('PUT', '/api/v1/session/password', { old, new: password }));
    detail.inside({ me });
    $('who').textContent = me.person?.name ?? me.name;
    $('who').hidden = $('log-out').hidden = false;
  } catch (error) {
    if (error.status === 401) return login(remembered('token') ? say('badToken') : '');
    // Anything else is said by the stream, which goes on trying.
  }
  $('login').hidden = true;
  lastId = null;
  route();
  keepFollowing();
}

$('by-name').addEventListener('submit', async (event) => {
  event.preventDefault();
  const name = $('name').value.trim(), code = $('code').value.trim(), password = $('password').value;
  for (const field of ['password', 'code']) $(field).value = '';
  remember('token', null);
  try {
    await send('POST', '/api/v1/session', { name, password, ...(code && { code }) });
    $('choose-name').value = name; // For the browser's password store.
    await enter(password);
  } catch (error) {
    $('login-error').textContent = error.message;
  }
});
$('by-token').addEventListener('submit', (event) => {
  event.preventDefault();
  remember('token', $('token').value.trim() || null);
  $('token').value = '';
  enter();
});
$('choose').addEventListener('submit', (event) => { event.preventDefault(); choice($('new-password').value); });
$('no-password').addEventListener('click', () => choice(null));
$('log-out').addEventListener('click', async () => {
  try {
    if (!remembered('token')) await ask('/api/v1/session', { method: 'DELETE' }); // A token stays good for others who hold it.
    detail.forget();
    login();
  } catch (error) {
    if (error.status === 401) return login();
    tell(`${say('failed')} ${error.message}`);
  }
});
$('language').addEventListener('click', () => { switchLanguage(); speak(); draw(); });
$('scheme').addEventListener('change', () => { state.scheme = $('scheme').value; state.cell = null; drawn = false; draw(); });
addEventListener('hashchange', () => { if ($('login').hidden && $('choose').hidden) route(); });
addEventListener('resize', () => { drawn = false; if (!$('main').hidden) draw(); });
$('all-cells').addEventListener('click', () => { state.cell = null; drawn = false; draw(); });

// A link such as /#token=… or /#invite=… logs in; that leaves the address bar at once, and what stands behind # never reaches a server.
const given = new URLSearchParams(location.hash.slice(1)), [token, invite] = [given.get('token'), given.get('invite')];
if (token !== null || invite !== null) {
  remember('token', token);
  const alarm = given.get('alarm');
  history.replaceState(null, '', alarm === null ? location.pathname : `#alarm=${encodeURIComponent(alarm)}`);
}
detail.inside({ device: (id) => state.devices.get(id), changed, draw, tell });
speak();
if (invite === null) enter();
else choose(say('invited'), true, (password) => send('POST', '/api/v1/session/invited', { secret: invite, ...(password && { password }) }));
