// Panels and dashboards as Grafana's JSON model has them. Only what is shown differs from panel to panel: chart, number, bars, table.
import { apart, choices, flux, influxql } from './questions.mjs';

const label = (name) => `\${__field.labels.${name}}`;
const named = (question, several, measurement, tag, field) => {
  const { measurement: many, tags } = apart(question, several);
  return [...(many ? [measurement] : []), ...tags.map(tag), ...(several ? [field] : [])].join(' ');
};

const LANGUAGES = {
  influxql: {
    source: 'influxdb', label: 'InfluxQL',
    target: (question, { table, several }) => ({ rawQuery: true, query: influxql(question), resultFormat: table ? 'table' : 'time_series', ...(!table && { alias: named(question, several, '$m', (tag) => `$tag_${tag}`, '$col') || '$col' }) }),
    variable: (query) => query,
  },
  flux: {
    source: 'influxdb', label: 'Flux',
    target: (question, { several }) => ({ query: flux(question, several) }),
    displayName: (question, several) => named(question, several, label('_measurement'), label, label('_field')),
    variable: (query) => ({ query, refId: 'choices' }),
  },
  prometheus: {
    source: 'prometheus', label: 'Prometheus',
    target: ({ promql, legend }, { table }) => ({ expr: promql, legendFormat: legend ?? '__auto', ...(table && { instant: true, format: 'table' }) }),
  },
};

const reduce = (calcs) => ({ calcs, fields: '', values: false });
const legend = { calcs: ['min', 'mean', 'max', 'lastNotNull'], displayMode: 'table', placement: 'bottom', showLegend: true };
const LOOKS = {
  chart: {
    type: 'timeseries', options: { legend, tooltip: { mode: 'multi', sort: 'desc' } },
    custom: { drawStyle: 'line', lineInterpolation: 'stepAfter', lineWidth: 1, fillOpacity: 8, showPoints: 'auto', spanNulls: 3_600_000 },
  },
  bars: {
    type: 'timeseries', options: { legend: { ...legend, calcs: ['sum'] }, tooltip: { mode: 'multi', sort: 'desc' } },
    custom: { drawStyle: 'bars', lineWidth: 0, fillOpacity: 80, stacking: { mode: 'normal', group: 'A' } },
  },
  number: {
    type: 'stat', options: { reduceOptions: reduce(['lastNotNull']), colorMode: 'value', graphMode: 'none', justifyMode: 'auto', orientation: 'auto', textMode: 'auto', wideLayout: true, showPercentChange: false, percentChangeColorMode: 'standard' },
  },
  gauge: {
    type: 'bargauge', options: { reduceOptions: reduce(['lastNotNull']), displayMode: 'basic', valueMode: 'color', namePlacement: 'auto', showUnfilled: true, sizing: 'auto', minVizWidth: 8, minVizHeight: 16, maxVizHeight: 300, orientation: 'horizontal', legend: { ...legend, showLegend: false, calcs: [] } },
  },
  table: { type: 'table', options: { showHeader: true, cellHeight: 'sm', frameIndex: 0, sortBy: [{ displayName: 'Time', desc: false }] }, custom: { align: 'auto', inspect: false } },
};

/** [[null, 'green'], [20, 'red']]: from which value on which colour. */
const steps = (edges) => ({ mode: 'absolute', steps: edges.map(([value, color]) => ({ value, color })) });

function panel(language, { look, title, help, ask, unit, edges, line, decimals, ...place }, id) {
  const { source, target, displayName } = LANGUAGES[language], { type, options, custom } = LOOKS[look], table = look === 'table', several = 1 < ask.length;
  const datasource = { type: source, uid: '${source}' };
  const shownAs = !table && displayName?.(ask[0], several);
  return {
    id, type, title, ...(help && { description: help }), datasource, gridPos: place, options,
    fieldConfig: {
      defaults: {
        ...(unit && { unit }), ...(decimals !== undefined && { decimals }), ...(look === 'number' && { noValue: '0' }), ...(shownAs && { displayName: shownAs }),
        color: { mode: edges && !line ? 'thresholds' : 'palette-classic' }, thresholds: steps(edges ?? [[null, 'text']]),
        ...(custom && { custom: { ...custom, ...(line && { thresholdsStyle: { mode: 'line' } }) } }),
      },
      overrides: [],
    },
    targets: ask.map((question, at) => ({ refId: String.fromCharCode(65 + at), datasource, ...target(question, { table, several }) })),
  };
}

/** Rows of panels, each row as high as its first says; what has no width shares what is left of the 24 columns. */
function placed(language, rows) {
  let y = 0, id = 0;
  return rows.flatMap((row) => {
    const h = row[0].h ?? 8, taken = row.reduce((sum, one) => sum + (one.w ?? 0), 0), open = row.filter((one) => !one.w).length;
    let x = 0;
    const panels = row.map((one) => {
      const w = one.w ?? Math.floor((24 - taken) / open);
      x += w;
      return panel(language, { ...one, h, w, x: x - w, y }, (id += 1));
    });
    y += h;
    return panels;
  });
}

export function dashboard(language, { uid, title, help, rows }) {
  const { source, label, variable } = LANGUAGES[language], known = choices[language];
  const chosen = (name, words) => ({
    name, label: words, type: 'query', datasource: { type: source, uid: '${source}' }, query: variable(known[name]), refresh: 2, sort: 1,
    multi: true, includeAll: true, allValue: '.*', current: { text: 'All', value: ['$__all'] },
  });
  return {
    uid: `gridwarden-${uid}-${language}`, title: `${title} (${label})`, description: help, tags: ['gridwarden'], schemaVersion: 39, version: 1, editable: true, graphTooltip: 1,
    time: { from: 'now-24h', to: 'now' }, timezone: 'browser', refresh: '1m', annotations: { list: [] }, links: [],
    templating: { list: [{ name: 'source', label: '数据源 source', type: 'datasource', query: source, refresh: 1 }, ...(known ? [chosen('station', '站点 station'), chosen('cell', '网格 cell')] : [])] },
    panels: placed(language, rows),
  };
}
