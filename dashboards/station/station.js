// The station's page: cells, alarms and newest values, as they are now, for whoever is logged in: by a session whose cookie no script can read, or by a token.
//
// Small on purpose: no framework, no build, nothing from outside. Everything from the gateway enters the page as text (textContent), never as
// HTML. One event stream carries changes; it is opened by fetch, because an EventSource cannot send the token in a header. The lists are fetched
// after the stream's `hello`, so that no change falls between. When the stream is lost the page says so over everything, for as long as it lasts.

const WORDS = {
  zh: {
    title: '网格哨', cells: '网格', alarms: '报警', values: '最新读数', token: '访问令牌', enter: '进入', language: 'English',
    login: '请登录。', badToken: '令牌无效。', name: '账号', password: '密码', code: '验证码(如已启用)', byToken: '用访问令牌登录(只保存在此标签页)',
    logOut: '退出', mustChange: '这是一次性密码,请设置自己的密码(至少 10 个字符)。', invited: '欢迎。请设置密码(至少 10 个字符),下次用账号和密码登录。',
    newPassword: '新密码', save: '保存并进入', noPassword: '不设密码,直接进入', noCells: '还没有导入网格。', noAlarms: '没有报警。',
    noValues: '还没有读数。', lost: '连接已断开,画面不是最新!', lostSince: '停在', acknowledge: '接警确认', allCells: '显示全部网格',
    owner: '责任人', nobody: '无人负责', late: '迟到的信号', acknowledgedBy: '确认人', calm: '无报警', open: '未结', failed: '未成功:',
    truncated: '只显示最新的', yes: '是', no: '否', uncertain: '存疑', bad: '无效',
    fire: '火警', supervisory: '监管', trouble: '故障', disabled: '屏蔽', test: '测试',
    unacknowledged: '未确认', acknowledged: '已确认', returned_unacknowledged: '已恢复,未确认', returned: '已恢复,待处置', closed: '已结',
  },
  en: {
    title: 'Gridwarden', cells: 'Cells', alarms: 'Alarms', values: 'Newest values', token: 'Access token', enter: 'Enter', language: '中文',
    login: 'Please log in.', badToken: 'This token is not valid.', name: 'Account', password: 'Password', code: 'Code (if you use one)',
    byToken: 'With an access token (kept in this tab only)', logOut: 'Log out',
    mustChange: 'This was a one-time password: choose your own, of at least 10 characters.',
    invited: 'Welcome. Choose a password of at least 10 characters for the next time.',
    newPassword: 'New password', save: 'Save and enter', noPassword: 'Enter without a password',
    noCells: 'No cells have been imported yet.', noAlarms: 'No alarms.', noValues: 'No values yet.',
    lost: 'Connection lost: this is not up to date!', lostSince: 'as of', acknowledge: 'Acknowledge', allCells: 'Show all cells',
    owner: 'responsible', nobody: 'nobody answers for it', late: 'late signal', acknowledgedBy: 'acknowledged by', calm: 'no alarm', open: 'open',
    failed: 'Not done:', truncated: 'only the newest', yes: 'yes', no: 'no', uncertain: 'uncertain', bad: 'bad',
    fire: 'Fire', supervisory: 'Supervisory', trouble: 'Trouble', disabled: 'Disabled', test: 'Test',
    unacknowledged: 'unacknowledged', acknowledged: 'acknowledged', returned_unacknowledged: 'returned, unacknowledged',
    returned: 'returned, to be resolved', closed: 'closed',
  },
};
const CLASSES = ['fire', 'supervisory', 'trouble', 'disabled', 'test']; // Worst first.
const METRICS = { // For the Chinese page; what is missing keeps its name.
  smoke: '烟雾', heat_alarm: '温感报警', gas_alarm: '燃气报警', manual_alarm: '手报', flame: '火焰', test: '测试', tamper: '拆动', fault: '故障',
  battery_low: '电量低', silenced: '消音', removed: '被拆除', mains_lost: '主电断开', disabled: '屏蔽', battery: '电量', battery_voltage: '电池电压',
  temperature: '温度', humidity: '湿度', smoke_density: '烟雾浓度', smoke_concentration: '烟雾浓度', gas_lel: '燃气浓度', co: '一氧化碳',
  pressure: '压力', flow: '流量', level: '液位', water_discharge: '出水', shock: '撞击', tilt: '倾斜', cover_open: '盖板打开', pressure_low: '压力低',
  pressure_high: '压力高', door_open: '门开', door_forced: '强行开门', door_held: '门未关', persons: '人数', vehicles: '车辆', objects: '目标数',
  motion: '移动', detection: '检测到目标', fire_lane_blocked: '消防通道占用', ebike_in_lift: '电动车进电梯', rssi: '信号强度', snr: '信噪比',
  link_quality: '链路质量', current: '电流', voltage: '电压', running: '运行', score: '置信度', entry: '进入', frame_counter: '帧计数',
  smoke_seen: '视频见烟',
};
const UNITS = { Cel: '°C', '[ppm]': 'ppm', 'dB[mW]': 'dBm' }; // UCUM as people write it.
const CLOSED_SHOWN = 20, ALARMS_MAX = 500, VALUES_SHOWN = 20, PAGES_MAX = 20;
const SILENCE_MAX_MS = 40_000; // The gateway sends a comment every 15 s.

const $ = (id) => document.getElementById(id);
const remembered = (key) => sessionStorage.getItem(`gridwarden-${key}`);
const remember = (key, value) => value === null ? sessionStorage.removeItem(`gridwarden-${key}`) : sessionStorage.setItem(`gridwarden-${key}`, value);

let language = remembered('language') === 'en' ? 'en' : 'zh';
const say = (key) => WORDS[language][key] ?? key;

const state = { cells: new Map(), alarms: new Map(), devices: new Map(), order: [], scheme: null, cell: null, busy: new Set(), full: false };
let lastId = null, lastHeard = null, follower = null, drawn = false;

// ---- talking to the gateway -------------------------------------------------------------------------------------------------------------

class Refused extends Error { constructor(status, detail) { super(detail); this.status = status; } }

async function ask(path, options = {}) {
  const token = remembered('token'); // Without one the session's cookie goes along by itself.
  const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...options.headers };
  const response = await fetch(path, { ...options, headers });
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Refused(response.status, problem.detail ?? `${response.status}`);
  }
  return response;
}

const send = (method, path, body) => ask(path, { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

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
  } else if (kind === 'alarm') changed(body.alarm);
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

async function acknowledge(id) {
  state.busy.add(id);
  drawn = false; draw();
  try {
    const answer = await ask(`/api/v1/alarms/${encodeURIComponent(id)}/acknowledge`, { method: 'POST' });
    changed(await answer.json());
    $('act-error').hidden = true;
  } catch (error) {
    $('act-error').textContent = `${say('failed')} ${id}: ${error.message}`;
    $('act-error').hidden = false;
  }
  state.busy.delete(id);
  drawn = false; draw();
}

// ---- drawing ----------------------------------------------------------------------------------------------------------------------------

function element(name, options = {}, ...children) {
  const made = name.startsWith('svg:') ? document.createElementNS('http://www.w3.org/2000/svg', name.slice(4)) : document.createElement(name);
  if (options.class) made.setAttribute('class', options.class);
  if (options.text !== undefined) made.textContent = options.text;
  for (const [key, value] of Object.entries(options.attributes ?? {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const newestFirst = (a, b) => Number(b.id.slice(2)) - Number(a.id.slice(2));
const unanswered = (alarm) => alarm.state === 'unacknowledged' || alarm.state === 'returned_unacknowledged';
const within = (alarm, code) => alarm.cell.code === code || (state.cells.get(alarm.cell.code)?.path.includes(code) ?? false);

function clockTime(text) {
  const at = new Date(text), today = new Date().toDateString() === at.toDateString();
  const time = at.toLocaleTimeString('zh-CN', { hour12: false });
  return today ? time : `${at.getMonth() + 1}-${at.getDate()} ${time}`;
}

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
  const scale = Math.min((map.parentElement.clientWidth - 44) / width, innerHeight * 0.6 / height); // So that a unit is a pixel.
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
  const facts = [alarm.id, say(alarm.state), alarm.cell.path.join(' › ') || alarm.cell.code];
  if (alarm.device) facts.push([alarm.device.name || alarm.device.id, alarm.device.place].filter(Boolean).join(' · '));
  facts.push(`${say('owner')}: ${owner}`);
  if (alarm.acknowledged) facts.push(`${say('acknowledgedBy')}: ${alarm.acknowledged.by}${alarm.acknowledged.note ? ` (${alarm.acknowledged.note})` : ''}`);
  if (alarm.late) facts.push(`${say('late')}${alarm.late.age_s === null ? '' : ` ${Math.round(alarm.late.age_s)} s`}`);
  const item = element('li', { class: `${alarm.class}${alarm.open ? '' : ' closed'}`, attributes: { 'data-id': alarm.id } },
    element('div', { class: 'head' },
      element('span', { class: `badge ${alarm.class}`, text: say(alarm.class) }),
      element('span', { class: 'text', text: alarm.text }),
      element('time', { text: clockTime(alarm.raised), attributes: { datetime: alarm.raised } })),
    element('p', { class: 'facts', text: facts.join(' | ') }));
  if (unanswered(alarm)) {
    const button = element('button', { text: say('acknowledge'), attributes: { type: 'button' } });
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
      const shown = flag ? say(value ? 'yes' : 'no') : `${Number(value.toFixed(3))}${unit ? ` ${UNITS[unit] ?? unit}` : ''}`;
      return `${(language === 'zh' && METRICS[metric]) || metric} ${shown}${quality === 'good' ? '' : ` (${say(quality)})`}`;
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

// At most once per frame, however fast the readings come.
let waiting = false;
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    const alarmsNow = JSON.stringify([language, [...state.alarms], state.cell, state.scheme, state.full]);
    if (!drawn || alarmsNow !== draw.alarms) { drawMap(); drawAlarms(); draw.alarms = alarmsNow; }
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
    $('main').hidden = false;
    draw();
  }
}

// ---- beginning --------------------------------------------------------------------------------------------------------------------------

function speak() {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  for (const spoken of document.querySelectorAll('[data-say]')) spoken.textContent = say(spoken.dataset.say);
  $('language').textContent = say('language');
  $('legend').replaceChildren(...CLASSES.map((one) => element('li', {}, element('span', { class: `badge ${one}`, text: say(one) }))));
  drawn = false;
}

function login(error = '') {
  follower?.abort();
  remember('token', null);
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
    $('who').textContent = me.person?.name ?? me.name;
    $('who').hidden = $('log-out').hidden = false;
  } catch (error) {
    if (error.status === 401) return login(remembered('token') ? say('badToken') : '');
    // Anything else is said by the stream, which goes on trying.
  }
  $('login').hidden = true;
  lastId = null;
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
    login();
  } catch (error) {
    if (error.status === 401) return login();
    $('act-error').textContent = `${say('failed')} ${error.message}`;
    $('act-error').hidden = false;
  }
});
$('language').addEventListener('click', () => { language = language === 'zh' ? 'en' : 'zh'; remember('language', language); speak(); draw(); });
$('scheme').addEventListener('change', () => { state.scheme = $('scheme').value; state.cell = null; drawn = false; draw(); });
addEventListener('resize', () => { drawn = false; if (!$('main').hidden) draw(); });
$('all-cells').addEventListener('click', () => { state.cell = null; drawn = false; draw(); });

// A link such as /#token=… or /#invite=… logs in; what stands behind # leaves the address bar at once and never reaches a server in an address.
const given = new URLSearchParams(location.hash.slice(1)), [token, invite] = [given.get('token'), given.get('invite')];
if (token !== null || invite !== null) {
  remember('token', token);
  history.replaceState(null, '', location.pathname);
}
speak();
if (invite === null) enter();
else choose(say('invited'), true, (password) => send('POST', '/api/v1/session/invited', { secret: invite, ...(password && { password }) }));
