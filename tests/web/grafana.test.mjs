// The dashboards in dashboards/grafana: as Grafana's published types have them, asking only for what the gateway writes, in queries that run.
//
// INFLUX is an InfluxDB 1 with points of every kind of device and every metric, by the gateway's own encoder, around AT. METRICS is a file with what a working gateway had on
// /metrics, twice, and METRIC_LIST one with its constants; VICTORIA runs PromQL. Flux needs InfluxDB 2, which is not run here: its compiler checks syntax, functions and types.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { before, test } from 'node:test';

const folder = new URL('../../dashboards/grafana/', import.meta.url), { INFLUX, VICTORIA } = process.env;
const ts = createRequire(new URL('../web/package.json', folder))('typescript');
const files = (language) => readdirSync(new URL(`${language}/`, folder)).map((name) => ({ name: `${language}/${name}`, board: JSON.parse(readFileSync(new URL(`${language}/${name}`, folder), 'utf8')) }));
const targets = (language) => files(language).flatMap(({ name, board }) => board.panels.flatMap((panel) => panel.targets.map((target) => ({ where: `${name}: ${panel.title}`, ...target }))));
const HOUR_MS = 3_600_000;

async function influx(query) {
  const answer = await (await fetch(`${INFLUX}/query?db=gridwarden&epoch=ms`, { method: 'POST', body: new URLSearchParams({ q: query }) })).json();
  assert.equal(answer.error ?? answer.results[0].error, undefined, query);
  return answer.results[0].series ?? [];
}
/** As Grafana fills them in when everything is chosen. */
const chosen = (query) => query.replaceAll(/\$\{(station|cell):regex\}/g, '.*').replaceAll('$timeFilter', `time >= ${Number(process.env.AT) - HOUR_MS}ms AND time <= ${Number(process.env.AT) + HOUR_MS}ms`).replaceAll('$__interval', '1m');

let fields, tags;
before(async () => {
  const keys = async (what) => Object.fromEntries((await influx(`SHOW ${what} KEYS`)).map(({ name, values }) => [name, values.map(([key]) => key)]));
  [fields, tags] = [await keys('FIELD'), await keys('TAG')];
});

test('the files are what the generator writes', () => {
  execFileSync('node', [fileURLToPath(new URL('make.mjs', folder)), '--check']);
});

// TypeScript's enums take no plain strings; their values do.
const PLAIN = `
type Plain<T> = unknown extends T ? T : T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T : T extends (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
`;
const KINDS = { timeseries: 'TimeSeries', stat: 'Stat', bargauge: 'BarGauge', table: 'Table' };

/** What TypeScript says to this dashboard written down as a value of Grafana's type. */
function complaints(boards) {
  const lines = ["import type { Dashboard } from '@grafana/schema';", ...Object.entries(KINDS).map(([kind, name]) => `import type * as ${kind} from '@grafana/schema/dist/esm/raw/composable/${kind}/panelcfg/x/${name}PanelCfg_types.gen';`), PLAIN];
  boards.forEach((board, number) => {
    lines.push(`export const d${number}: Plain<Dashboard> = ${JSON.stringify(board)};`);
    for (const { id, type, options, fieldConfig } of board.panels) {
      lines.push(`export const o${number}_${id}: Plain<${type}.Options> = ${JSON.stringify(options)};`);
      if (fieldConfig.defaults.custom) lines.push(`export const c${number}_${id}: Partial<Plain<${type}.FieldConfig>> = ${JSON.stringify(fieldConfig.defaults.custom)};`);
    }
  });
  const file = fileURLToPath(new URL('node_modules/model.ts', folder));
  writeFileSync(file, lines.join('\n'));
  const program = ts.createProgram([file], { strict: true, noEmit: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, types: [] });
  return ts.getPreEmitDiagnostics(program).map((one) => ts.flattenDiagnosticMessageText(one.messageText, '\n').slice(0, 600));
}

test("each is a dashboard by Grafana's published types", () => {
  const boards = ['flux', 'influxql', 'prometheus'].flatMap(files).map(({ board }) => board);
  assert.deepEqual(complaints(boards), []);
  assert.equal(new Set(boards.map(({ uid }) => uid)).size, boards.length);
  // It would notice.
  const wrong = structuredClone(boards[0]);
  wrong.panels[0].options.colourMode = 'value';
  assert.equal(complaints([wrong]).length, 1);
  wrong.panels[0].options = boards[0].panels[0].options;
  wrong.graphTooltip = 'often';
  assert.equal(complaints([wrong]).length, 1);
});

test('every InfluxQL query finds what the gateway writes', async () => {
  const asked = targets('influxql');
  assert.ok(30 < asked.length);
  for (const { where, query } of asked) assert.ok((await influx(chosen(query))).some(({ values }) => values.length > 0), `${where} finds nothing: ${query}`);
  for (const { board } of files('influxql')) {
    for (const { type, query } of board.templating.list) if (type === 'query') assert.ok((await influx(chosen(query))).length > 0, query);
  }
  assert.deepEqual(await influx('SELECT last("no_such_field") FROM "hydrant"'), [], 'nothing is found where nothing is');
});

test('every Flux query compiles, and names what the gateway writes', async () => {
  const flux = await compiler(), asked = targets('flux');
  const given = 'option v = { timeRangeStart: 2026-01-01T00:00:00Z, timeRangeStop: 2026-01-02T00:00:00Z, windowPeriod: 1m, defaultBucket: "gridwarden" }\n';
  const compiles = (query) => {
    const [, imports = '', rest] = /^((?:import .*\n)*)([^]*)$/.exec(chosen(query));
    return flux.is_valid_flux(imports + given + rest);
  };
  assert.equal(asked.length, targets('influxql').length, 'the same questions in both languages');
  const knownTags = new Set(Object.values(tags).flat()), made = new Set(['_measurement', '_field', '_value', '_time']);
  for (const { where, query } of asked) {
    assert.ok(compiles(query), `${where}: ${query}`);
    const [, field] = /r\._field == "(\w+)"/.exec(query);
    for (const [, measurement] of query.matchAll(/r\._measurement == "(\w+)"/g)) assert.ok(fields[measurement]?.includes(field), `${where}: the gateway writes no ${measurement} ${field}`);
    const columns = [...query.matchAll(/columns: \[([^\]]*)\]/g)].flatMap(([, names]) => names.split(', ').filter(Boolean).map((name) => JSON.parse(name)));
    for (const name of [...columns, ...[...query.matchAll(/\br\.(\w+)/g)].map(([, name]) => name)]) assert.ok(knownTags.has(name) || made.has(name), `${where}: no tag ${name}`);
  }
  for (const { board } of files('flux')) for (const { type, query } of board.templating.list) if (type === 'query') assert.ok(compiles(query.query), query.query);
  for (const bad of ['from(bucket: v.defaultBucket) |> rang(start: -1h)', 'from(bucket: v.defaultBucket) |> range(start: -1h) |> aggregateWindow(every: 1m, fn: "mean")', 'from(bucket: ']) assert.ok(!compiles(bad), bad);
});

/** flux-lsp-browser is made for bundlers: its two halves are put together by hand. */
async function compiler() {
  const from = new URL('node_modules/@influxdata/flux-lsp-browser/', folder);
  const glue = readFileSync(new URL('flux-lsp-browser_bg.js', from), 'utf8').replaceAll(/^cached\w+Memory0 = .*$/gm, '')
    .replace(/^import \* as wasm.*$/m, 'let wasm; export const begin = (made) => { wasm = made; cachedUint8Memory0 = new Uint8Array(made.memory.buffer); cachedInt32Memory0 = new Int32Array(made.memory.buffer); };');
  const flux = await import(`data:text/javascript,${encodeURIComponent(glue)}`);
  const { instance } = await WebAssembly.instantiate(readFileSync(new URL('flux-lsp-browser_bg.wasm', from)), { './flux-lsp-browser_bg.js': flux });
  flux.begin(instance.exports);
  return flux;
}

test('every PromQL query runs, and every metric is one of the gateway', async () => {
  const pages = JSON.parse(readFileSync(process.env.METRICS, 'utf8')), list = new Map(JSON.parse(readFileSync(process.env.METRIC_LIST, 'utf8')).map(([name, kind, labels]) => [name, { kind, labels }]));
  for (const [number, page] of pages.entries()) {
    const at = Number(process.env.AT) + number * 60_000;
    assert.ok((await fetch(`${VICTORIA}/api/v1/import/prometheus?timestamp=${at}`, { method: 'POST', body: page })).ok);
  }
  await fetch(`${VICTORIA}/internal/force_flush`);
  const run = async (query) => (await fetch(`${VICTORIA}/api/v1/query?${new URLSearchParams({ query, time: String(Number(process.env.AT) / 1000 + 61), nocache: '1' })}`)).json();
  const asked = targets('prometheus'), empty = [];
  assert.ok(30 < asked.length);
  for (const { where, expr } of asked) {
    const query = expr.replaceAll('$__rate_interval', '5m'), answer = await run(query);
    assert.equal(answer.status, 'success', `${where}: ${query}: ${answer.error}`);
    const only = [...expr.matchAll(/\w+="\w+"/g)].map(([filter]) => filter);
    const names = [...new Set(expr.match(/gridwarden_\w+/g))].map((name) => (list.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')));
    for (const name of names) {
      const known = list.get(name);
      assert.ok(known, `${where}: the gateway has no ${name}`);
      assert.equal(known.kind === 'Histogram', expr.includes(`${name}_bucket`), `${where}: ${name}`);
      const by = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, labels]) => labels.split(', ')).filter((label) => label !== 'le');
      const filtered = [...expr.matchAll(/(\w+)="/g)].map(([, label]) => label);
      for (const label of [...by, ...filtered]) assert.ok(known.labels.includes(label), `${where}: ${name} has no label ${label}`);
      const line = new RegExp(`^${name}(_bucket)?[{ ]`);
      const shown = pages.every((page) => page.split('\n').some((one) => line.test(one) && only.every((filter) => one.includes(filter))));
      if (shown) assert.ok(answer.data.result.length > 0, `${where}: finds nothing: ${query}`);
      else if (known.labels.length === 0) empty.push(name);
    }
  }
  // What has no label is there from the start, but for gauges of parts that are not in use here and histograms without a value.
  assert.deepEqual(empty.filter((name) => list.get(name).kind === 'Counter'), []);
  for (const name of ['gridwarden_alarm_acknowledged_seconds', 'gridwarden_alarm_on_site_seconds', 'gridwarden_alarm_resolved_seconds', 'gridwarden_alarms_total']) assert.match(pages[1], new RegExp(`^${name}.*class="fire"`, 'm'));
  assert.equal((await run('sum(')).status, 'error', 'it would notice');
});

test('the provisioning files name the variables that the guide names', () => {
  const sources = readFileSync(new URL('provisioning/datasources/gridwarden.yaml', folder), 'utf8');
  const guide = readFileSync(new URL('../../docs/grafana.md', folder), 'utf8');
  const named = new Set([...sources.matchAll(/\$\{?(GRIDWARDEN_\w+)/g)].map(([, name]) => name));
  assert.ok(named.size >= 5);
  for (const name of named) assert.ok(guide.includes(`\`${name}\``), `${name} is not in docs/grafana.md`);
  assert.ok(!/\t/.test(sources));
});
