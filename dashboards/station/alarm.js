// One alarm, as somebody who goes there needs it: how far it has come, the next deed as a big button, the card, what happened and who was told.
//
// No deed is lost: while a request runs its button says so and a second tap does nothing; what fails says why, and what was typed stays.
// The gateway alone decides what is allowed; the table of deeds only keeps away what makes no sense now.

import { ask, send } from './gateway.js';
import { $, clockTime, element } from './element.js';
import { say, spoken, word } from './words.js';

const ANSWER_MAX_MS = 20_000, LOOK_AGAIN_MS = 3_000, HOUR_MS = 3_600_000;
const STEPS = ['dispatched', 'acknowledged', 'on_the_way', 'on_site', 'resolved', 'verified', 'closed'];
const DISPOSITIONS = ['real_fire', 'false_alarm', 'test', 'device_fault', 'hazard_removed', 'handed_over'];
const CAUSES = ['cooking', 'steam', 'dust', 'insects', 'smoking', 'other'];
const VERDICTS = ['true', 'false', 'nuisance', 'missed'];
// After these somebody else has been told, or has it in hand: the list of who was told is fetched again.
const TELLING = new Set(['told', 'escalated', 'not_told', 'acknowledged', 'handed_over', 'resumed', 'sent_back', 'unanswered']);

const underWay = (alarm) => alarm.open && !alarm.resolved && alarm.held?.how !== 'out_of_service';
const resolved = (alarm) => alarm.open && alarm.resolved !== null;
const held = (how) => (alarm) => alarm.open && alarm.held?.how === how;
const signed = (alarm) => [alarm.acknowledged, ...alarm.joined].filter(Boolean);

// In the order in which they are offered; the first is the big one. `asks` are the fields of the form; without them one tap does it.
const DEEDS = [
  { name: 'end', right: 'handle', fits: held('out_of_service') },
  { name: 'resume', right: 'handle', fits: held('suspended') },
  { name: 'unshelve', right: 'handle', fits: held('shelved') },
  { name: 'acknowledge', right: 'handle',
    fits: (alarm, who) => underWay(alarm) && signed(alarm).length < alarm.need && !signed(alarm).some((one) => one.by === who) },
  { name: 'on_the_way', right: 'handle', fits: (alarm, who) => underWay(alarm) && !alarm.on_site && alarm.on_the_way?.by !== who },
  { name: 'on_site', right: 'handle', fits: (alarm, who) => underWay(alarm) && alarm.acknowledged !== null && alarm.on_site?.by !== who },
  { name: 'resolve', right: 'handle', asks: ['disposition', 'cause', 'note'], fits: (alarm) => underWay(alarm) && alarm.acknowledged !== null },
  { name: 'verify', right: 'verify', asks: ['note'], fits: (alarm) => resolved(alarm) && !alarm.verified },
  { name: 'return', right: 'verify', asks: ['reason'], fits: (alarm) => resolved(alarm) && !alarm.verified },
  { name: 'hand_over', right: 'handle', asks: ['reason'], also: { up: true }, fits: underWay },
  { name: 'suspend', right: 'handle', more: true, asks: ['until', 'reason'], ahead_h: 7 * 24,
    fits: (alarm) => underWay(alarm) && alarm.acknowledged !== null && !alarm.held && !(alarm.class === 'fire' && alarm.state !== 'returned') },
  { name: 'shelve', right: 'handle', more: true, asks: ['until', 'reason'], ahead_h: 8, fits: (alarm) => underWay(alarm) && !alarm.held && alarm.class !== 'fire' },
  { name: 'evaluate', right: 'verify', more: true, asks: ['verdict', 'note'], fits: resolved },
];

// What the page around gives: who is logged in, the newest values of devices, and what to do when an alarm changed, something is to be drawn, or
// something is to be told beside the alarm.
const page = { me: null, device: () => undefined, changed: () => {}, draw: () => {}, tell: () => {} };
export function inside(given) {
  if (given.me && page.me && given.me.name !== page.me.name) drafts.clear(); // Another reads here now.
  Object.assign(page, given);
}

// The alarm on the screen: `shown` is the gateway's answer, `asking` the deed whose form is open, `running` the deed under way.
let open = null;
let drawn = null;
const drafts = new Map(); // What was typed, by alarm and deed.
const receipts = new Set(); // Alerts whose opening has been told.

export const isOpen = () => open !== null;
export const forget = () => drafts.clear();

export function show(id) {
  if (id !== (open?.id ?? null)) {
    open = id === null ? null : { id, shown: null, error: null, asking: null, running: null, said: null, loading: false, again: false };
    drawn = null;
    scrollTo(0, 0);
    if (open) load(open);
  }
  $('detail').hidden = open === null;
}

export function reload() { if (open) load(open); }

// A change that the stream tells.
export function heard({ entry, alarm }) {
  if (open?.id !== alarm.id) return;
  if (open.loading) open.again = true;
  if (!open.shown) return;
  open.shown.alarm = alarm;
  if (!open.shown.history.some((line) => line.number === entry.number)) open.shown.history.push(entry);
  if (TELLING.has(entry.what)) {
    clearTimeout(open.later);
    open.later = setTimeout(reload, LOOK_AGAIN_MS);
  }
}

// Why a deed failed, in the reader's language, with the gateway's own sentence.
export function why(error) {
  if (error.status === undefined) return `${unreached(error)} ${say('unsure')}`;
  const known = word('problem', error.kind);
  return known === error.kind ? error.message : `${known} (${error.message})`;
}

const unreached = (error) => say(error.name === 'TimeoutError' ? 'silentGateway' : 'notReached');
const failure = ({ deed, error }) => `${say('failed')} ${word('deed', deed.name)}: ${why(error)}`;

async function load(one) {
  if (one.loading) { one.again = true; return; }
  one.loading = true;
  try {
    do {
      one.again = false;
      one.shown = await (await ask(`/api/v1/alarms/${encodeURIComponent(one.id)}`, { signal: AbortSignal.timeout(ANSWER_MAX_MS) })).json();
      one.error = null;
    } while (one.again && one === open);
    sayOpened(one.shown.attempts);
  } catch (error) {
    one.error = error;
  }
  one.loading = false;
  page.draw();
}

// Whoever was told and looks at it here has opened the alert. Nothing hangs on it: what fails is said at the next look.
function sayOpened(attempts) {
  const person = page.me?.person?.id;
  for (const { key, opened } of attempts.filter((attempt) => attempt.person?.id === person && person !== undefined)) {
    if (opened || receipts.has(key) || page.me.read_only) continue;
    receipts.add(key);
    send('POST', `/api/v1/alerts/${encodeURIComponent(key)}/receipts`, { receipt: 'opened' }).catch(() => receipts.delete(key));
  }
}

async function perform(deed, body) {
  const one = open;
  if (one.running) return;
  Object.assign(one, { running: deed.name, said: null });
  draw(); // At once, so that no other button takes a tap that would do nothing.
  const id = encodeURIComponent(one.id);
  try {
    const path = deed.name === 'end' ? `/api/v1/maintenance/${id}/end` : `/api/v1/alarms/${id}/${deed.name}`;
    const alarm = await (await send('POST', path, body, { signal: AbortSignal.timeout(ANSWER_MAX_MS) })).json();
    drafts.delete(`${one.id}/${deed.name}`);
    if (one.asking === deed) one.asking = null;
    if (one.shown) one.shown.alarm = alarm;
    one.said = { deed };
    page.changed(alarm);
  } catch (error) {
    one.said = { deed, error };
    if (one !== open) page.tell(`${one.id}: ${failure(one.said)}`); // He has left the alarm meanwhile.
  }
  one.running = null;
  load(one); // After a failure, too: it may have taken effect, or somebody was faster.
  page.draw();
}

// ---- drawing ----------------------------------------------------------------------------------------------------------------------------

const line = (...parts) => parts.filter((part) => part !== null && part !== undefined && part !== '').join(' · ');
const named = (person) => person ? (person.name || person.id) : say('nobody');
const metres = (count) => count === null ? say('sameCell') : `${count} ${say('metres')}`;
const megapascal = (kpa) => `${(kpa / 1000).toFixed(2)} MPa`;
const helpNeeded = ({ help }) => `⚠ ${say('helpNeeded')}: ${help.map((kind) => word('help', kind)).join(spoken() === 'zh' ? '、' : ', ')}`;
const fact = (name, ...values) => [element('dt', { text: name }), element('dd', {}, ...values)];

function lasted(since) {
  const minutes = Math.max(0, Math.floor((Date.now() - new Date(since)) / 60_000));
  if (minutes < 120) return `${minutes} ${say('minutes')}`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} ${say('hours')}` : `${Math.floor(minutes / 1440)} ${say('days')}`;
}

function hydrantsNow(card) {
  return (card?.hydrants ?? []).map(({ id }) => page.device(id)?.values.find((value) => value.metric === 'pressure') ?? null);
}

// Draws what changed; the form only when another deed is asked for, so that nothing typed is lost.
export function draw() {
  if (!open) return;
  const { shown, error, said, running, asking } = open;
  const sign = JSON.stringify([spoken(), open.id, shown, error?.message, said && [said.deed.name, said.error?.message], running, asking?.name, page.me, hydrantsNow(shown?.card), shown && lasted(shown.alarm.raised)]);
  if (sign === drawn) return;
  drawn = sign;
  $('detail-error').hidden = error === null;
  $('detail-why').textContent = error ? `${say('notLoaded')} ${error.status === undefined ? unreached(error) : why(error)}` : '';
  $('detail-loading').hidden = shown !== null || error !== null;
  $('detail-body').hidden = shown === null;
  if (!shown) return;
  const { alarm, card } = shown;
  drawHead(alarm, card);
  drawDeeds(alarm);
  drawForm();
  $('card').replaceChildren(...(card ? cardParts(card) : [element('p', { text: say('noCard') })]));
  $('history').replaceChildren(...shown.history.toReversed().map((entry) => element('li', {},
    element('time', { text: clockTime(entry.at), attributes: { datetime: entry.at } }),
    element('b', { text: word('what', entry.what) }),
    element('span', { text: line(entry.who ? name(entry.who) : say('gateway'), entry.detail) }))));
  $('told').replaceChildren(...shown.attempts.toReversed().map(toldLine));
  $('told-empty').hidden = shown.attempts.length > 0;
}

// The history has ids; the names of those who have to do with the alarm are known.
function name(id) {
  const people = [open.shown.alarm.owner, page.me?.person, ...open.shown.attempts.map((attempt) => attempt.person)];
  return people.find((person) => person?.id === id)?.name || id;
}

function drawHead(alarm, card) {
  const owner = element('span', { class: alarm.owner ? '' : 'warn', text: `${say('owner')}: ${named(alarm.owner)}` });
  const place = card?.place || alarm.device?.place;
  $('alarm-head').replaceChildren(
    element('p', { class: 'head' }, element('span', { class: `badge ${alarm.class}`, text: say(alarm.class) }), element('b', { text: alarm.id }),
      element('span', { text: say(alarm.state), class: 'state' }),
      element('time', { text: `${clockTime(alarm.raised)}${alarm.open ? ` · ${say('since')} ${lasted(alarm.raised)}` : ''}`, attributes: { datetime: alarm.raised } })),
    element('h2', { text: place || alarm.text }),
    ...(place ? [element('p', { class: 'what', text: alarm.text })] : []),
    ...(card?.household?.help.length ? [element('p', { class: 'warn', text: helpNeeded(card.household) })] : []),
    element('p', { class: 'facts' }, element('span', { text: line(alarm.cell.path.join(' › ') || alarm.cell.code, alarm.device?.name || alarm.device?.id) }), owner,
      ...(alarm.need > 1 ? [element('span', { text: `${say('need')}: ${signed(alarm).length}/${alarm.need}` })] : []),
      ...(alarm.repeats > 0 ? [element('span', { text: `${say('repeats')} ${alarm.repeats} ${say('times')}` })] : []),
      ...(alarm.late ? [element('span', { class: 'warn', text: say('late') })] : [])),
    ...(alarm.held ? [element('p', { class: 'held', text: line(word('held', alarm.held.how), `${say('heldUntil')} ${clockTime(alarm.held.until)}`, alarm.held.reason) })] : []));
  const by = { acknowledged: alarm.acknowledged, on_the_way: alarm.on_the_way, on_site: alarm.on_site, resolved: alarm.resolved, verified: alarm.verified };
  const reached = { ...by, dispatched: alarm.stage !== 'raised', closed: alarm.closed };
  $('stages').setAttribute('aria-label', word('stage', alarm.stage));
  $('stages').replaceChildren(...STEPS.map((step) => {
    const current = step === alarm.stage || (step === 'verified' && alarm.stage === 'evaluated');
    return element('li', { class: [reached[step] && 'reached', current && 'current'].filter(Boolean).join(' '), attributes: current ? { 'aria-current': 'step' } : {} },
      element('b', { text: `${reached[step] ? '✓ ' : ''}${word('stage', step)}` }),
      element('span', { text: by[step] ? `${name(by[step].by)} ${clockTime(by[step].at)}` : alarm.closed && step === 'closed' ? clockTime(alarm.closed) : '' }));
  }));
  const judged = alarm.resolved && line(word('disposition', alarm.resolved.disposition), alarm.resolved.cause && word('cause', alarm.resolved.cause), alarm.resolved.note,
    alarm.evaluated && `${say('verdict_')}: ${word('verdict', alarm.evaluated.verdict)}`);
  $('judged').hidden = !judged && !alarm.sent_back;
  $('judged').textContent = judged ? `${say('disposition_')}: ${judged}` : alarm.sent_back ? `${word('what', 'sent_back')}: ${alarm.sent_back.note ?? ''}` : '';
}

function drawDeeds(alarm) {
  const { me } = page, who = me?.person?.id ?? me?.name;
  // Who owns it may handle it wherever it is. Without an answer about rights everything is offered: the gateway refuses.
  const may = (right) => !me || (!me.read_only && (me.rights.includes(right) || (right === 'handle' && alarm.owner?.id === who)));
  const fitting = DEEDS.filter((deed) => deed.fits(alarm, who)), offered = fitting.filter((deed) => may(deed.right));
  const button = (deed, index) => {
    const running = open.running === deed.name;
    const made = element('button', { text: running ? say('sending') : word('deed', deed.name),
      class: index === 0 ? 'first' : '', attributes: { type: 'button', 'data-deed': deed.name, 'aria-busy': running } });
    made.disabled = open.running !== null;
    made.addEventListener('click', () => {
      if (!deed.asks) return perform(deed, {});
      Object.assign(open, { asking: deed, said: null });
      page.draw();
    });
    return made;
  };
  $('next').replaceChildren(...offered.filter((deed) => !deed.more).map(button));
  const more = offered.filter((deed) => deed.more);
  $('more').hidden = more.length === 0 || open.asking !== null;
  $('more-deeds').replaceChildren(...more.map((deed) => button(deed, 1)));
  const none = !alarm.open ? 'noDeeds' : me?.read_only ? 'mayOnlyLook' : offered.length > 0 ? null : resolved(alarm) ? 'waitsFor' : 'mayOnlyLook';
  $('no-deeds').hidden = none === null;
  $('no-deeds').textContent = none ? say(none) : '';
  $('next').hidden = open.asking !== null;
  $('said').hidden = open.said === null;
  $('said').className = open.said?.error ? 'failed' : '';
  $('said').textContent = !open.said ? '' : open.said.error ? failure(open.said) : `✓ ${say('done')} ${word('deed', open.said.deed.name)}`;
}

function field(kind, ahead_h) {
  const choice = (options, group) => element('select', {}, element('option', { text: say('choose'), attributes: { value: '' } }),
    ...options.map((option) => element('option', { text: word(group, option), attributes: { value: option } })));
  if (kind === 'disposition') return choice(DISPOSITIONS, 'disposition');
  if (kind === 'cause') return choice(CAUSES, 'cause');
  if (kind === 'verdict') return choice(VERDICTS, 'verdict');
  if (kind === 'until') {
    const input = element('input', { attributes: { type: 'datetime-local' } }), then = new Date(Date.now() + ahead_h * HOUR_MS);
    input.value = new Date(then - then.getTimezoneOffset() * 60_000).toISOString().slice(0, 16); // The field wants local time.
    return input;
  }
  return element('textarea', { attributes: { rows: 2, maxlength: 1000 } });
}

function drawForm() {
  const form = $('deed-form'), deed = open.asking, key = deed && `${open.id}/${deed.name}/${spoken()}`;
  form.hidden = !deed;
  if (!deed) { form.replaceChildren(); form.dataset.of = ''; return; }
  if (form.dataset.of !== key) {
    form.dataset.of = key;
    const draft = drafts.get(`${open.id}/${deed.name}`) ?? {};
    const labels = deed.asks.map((kind) => {
      const input = field(kind, deed.ahead_h);
      input.name = kind;
      input.required = kind !== 'note' && kind !== 'cause';
      if (draft[kind] !== undefined) input.value = draft[kind];
      return element('label', { attributes: { 'data-field': kind } }, element('span', { text: say(['disposition', 'cause', 'verdict'].includes(kind) ? `${kind}_` : kind) }), input);
    });
    const give = element('button', { class: 'first', attributes: { type: 'submit' } }), cancel = element('button', { text: say('cancel'), attributes: { type: 'button' } });
    cancel.addEventListener('click', () => { open.asking = null; page.draw(); });
    form.replaceChildren(element('h3', { text: word('deed', deed.name) }), ...labels, element('p', { class: 'give' }, give, cancel));
  }
  const give = form.querySelector('button[type=submit]'), running = open.running !== null;
  give.disabled = running;
  give.textContent = say(running ? 'sending' : 'give');
  const cause = form.querySelector('[data-field=cause]');
  if (cause) cause.hidden = form.elements.disposition.value !== 'false_alarm';
}

$('deed-form').addEventListener('input', () => {
  drafts.set(`${open.id}/${open.asking.name}`, Object.fromEntries(new FormData($('deed-form'))));
  drawForm();
});
$('deed-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const deed = open.asking, given = Object.fromEntries(new FormData($('deed-form')));
  if (given.disposition !== 'false_alarm') delete given.cause;
  if (given.until) given.until = new Date(given.until).toISOString();
  perform(deed, { ...Object.fromEntries(Object.entries(given).filter(([, value]) => value.trim() !== '')), ...deed.also });
});
$('detail-again').addEventListener('click', reload);
$('told-again').addEventListener('click', reload);

function cardParts(card) {
  const { building, household, record } = card, parts = [];
  parts.push(element('h3', { text: say('toDo') }), element('ol', { class: 'to-do' }, ...card.to_do.map((task) => {
    const number = { call119: '119', call_household: household?.phone }[task];
    const text = word('to_do', task);
    return element('li', {}, number ? element('a', { text: `☎ ${text}`, attributes: { href: `tel:${number}` } }) : text);
  })));
  const lives = household
    ? [element('div', { text: line(`${household.people} ${say('people')}`, household.contact) }),
      ...(household.phone ? [element('a', { text: `☎ ${household.phone}`, attributes: { href: `tel:${household.phone}` } })] : []),
      ...(household.help.length ? [element('div', { class: 'warn', text: helpNeeded(household) })] : []),
      ...(household.neighbours ? [element('div', { text: `${say('neighbours')}: ${household.neighbours}` })] : [])]
    : [say('noHousehold')];
  const count = (number, unit) => number ? `${number} ${say(unit)}` : null;
  const facts = [
    ...fact(say('place'), line(card.cells.join(' › '), card.place)),
    ...(card.position ? fact(say('position'), `${card.position[1].toFixed(5)}, ${card.position[0].toFixed(5)}`) : []),
    ...fact(say('household'), ...lives),
    ...(building ? fact(say('building'), line(building.name, count(building.floors, 'floors'), count(building.basements, 'basements'), building.structure,
      count(building.staircases, 'staircases'), count(building.lifts, 'lifts'), building.note)) : []),
    ...fact(say('hydrants'), ...(card.hydrants.length ? card.hydrants.map(hydrant) : [say('noHydrants')])),
    ...fact(say('camera'), card.camera ? line(card.camera.name || card.camera.id, metres(card.camera.metres)) : say('none')),
    ...fact(say('nearby'), ...(card.nearby.length ? card.nearby.map((other) => element('div', {}, element('span', { class: `badge ${other.class}`, text: say(other.class) }), ' ',
      element('a', { text: line(other.text, metres(other.metres)), attributes: { href: `#alarm=${other.alarm}` } }))) : [say('none')])),
    ...fact(say('record'), line(...[['recordAlarms', record.alarms], ['recordReal', record.real], ['recordFalse', record.false_alarms], ['recordTests', record.tests],
      ['recordFaults', record.faults]].map(([kind, number]) => `${say(kind)} ${number}`))),
  ];
  return [...parts, element('dl', {}, ...facts)];
}

// As it was when the alarm was raised, and as it is now. Words and signs beside the colour.
function hydrant({ id, name: called, place, metres: away, pressure_kpa: pressure, trend_kpa_per_min: trend, mark }) {
  const now = page.device(id)?.values.find((value) => value.metric === 'pressure');
  const arrow = trend === null ? '' : ` ${trend <= -1 ? '↓' : trend >= 1 ? '↑' : '→'} ${trend.toFixed(0)} kPa/min`;
  return element('div', { class: 'hydrant' },
    element('div', { text: line(place || called || id, metres(away)) }),
    element('div', {}, element('span', { class: `mark ${mark}`, text: word('mark', mark) }), pressure === null ? '' : ` ${say('atAlarm')} ${megapascal(pressure)}${arrow}`),
    ...(now ? [element('div', { class: 'facts', text: `${say('now')} ${megapascal(now.value)} (${clockTime(now.time)})` })] : []));
}

function toldLine({ at, person, channel, step, attempt, reached, outcome, handed_to: to, detail, opened, shown }) {
  const how = outcome === 'delivered' ? '' : `${word('outcome', outcome)}${to ? ` ${to}` : ''}`;
  const rising = ['queued', 'accepted', 'shown', 'opened', 'acknowledged'].indexOf(reached);
  return element('li', {},
    element('time', { text: clockTime(at), attributes: { datetime: at } }),
    element('b', { text: person ? named(person) : channel }),
    element('span', { class: `reached ${reached}`, text: `${'●'.repeat(rising)}${'○'.repeat(4 - rising)} ${line(word('reached', reached), opened || shown ? clockTime(opened ?? shown) : '')}` }),
    element('span', { class: 'facts', text: line(channel, `${say('step')} ${step} ${say('stepEnd')}`.trim(), attempt > 1 ? `${say('attempt')} ${attempt} ${say('attemptEnd')}`.trim() : '', how, detail) }));
}
