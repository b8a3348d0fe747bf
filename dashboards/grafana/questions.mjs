// One question to the readings, in both languages of InfluxDB. What a point looks like is promised in docs/influx.md.
//
// A question: `of` measurement(s), `field`, `fn` (last, mean, min, max, count), `by` tags, and one of
//   over: 'time'        one line for each of `by`, a point for each step of the chart
//   over: 'range'       one value for each of `by`, of the whole time shown
//   over: 'devices'     how many devices there are whose last value fits `where`; without `where`, how many reported at all
// `where` is a condition on the value: { is: true }, { below: 20 }.
const list = (one) => (Array.isArray(one) ? one : [one]);

/** What tells the answers to a question apart, beside its tags: the measurement where there are several, the field where several are asked for in one panel. */
export function apart(question, several) {
  return { measurement: 1 < list(question.of).length, tags: question.over === 'devices' ? [] : (question.by ?? []), field: several };
}
const number = (value) => (Number.isInteger(value) ? `${value}.0` : `${value}`);

function condition(name, where, ofNumber) {
  if (where === undefined) return null;
  if ('is' in where) return ofNumber === number ? `${name} == ${where.is}` : `${name} = ${where.is}`;
  return `${name} < ${ofNumber(where.below)}`;
}

export function influxql({ of, field, fn = 'last', by = [], over, where }) {
  const from = list(of).map((name) => `"${name}"`).join(', ');
  const among = ['"station" =~ /^${station:regex}$/', '"cell" =~ /^${cell:regex}$/', '$timeFilter'];
  const tags = by.map((tag) => `"${tag}"`);
  if (over === 'devices') {
    const fits = condition('"newest"', where, String);
    return `SELECT count("newest") AS "devices" FROM (SELECT last("${field}") AS "newest" FROM ${from} WHERE ${among.join(' AND ')} GROUP BY "device")${fits ? ` WHERE ${fits}` : ''}`;
  }
  const fits = condition(`"${field}"`, where, String);
  const group = over === 'time' ? ['time($__interval)', ...tags] : tags;
  return `SELECT ${fn}("${field}") AS "${field}" FROM ${from} WHERE ${[...among, ...(fits ? [fits] : [])].join(' AND ')}${group.length > 0 ? ` GROUP BY ${group.join(', ')}` : ''}${over === 'time' ? ' fill(none)' : ''}`;
}

export function flux(question, several) {
  const { of, field, fn = 'last', over, where } = question, { measurement, tags } = apart(question, several);
  const by = [...(measurement ? ['_measurement'] : []), ...tags, ...(several ? ['_field'] : [])];
  const measurements = list(of).map((name) => `r._measurement == "${name}"`).join(' or ');
  const columns = (tags) => `columns: [${tags.map((tag) => `"${tag}"`).join(', ')}]`;
  const fits = condition('r._value', where, number), filter = (what) => `filter(fn: (r) => ${what})`;
  // A device in no cell has no such tag, and is among them while all cells are chosen.
  const among = [
    'from(bucket: v.defaultBucket)', 'range(start: v.timeRangeStart, stop: v.timeRangeStop)',
    filter(`(${measurements}) and r._field == "${field}"`),
    filter('r.station =~ /^${station:regex}$/ and (if exists r.cell then r.cell else "") =~ /^${cell:regex}$/'),
  ];
  // Newest of each series first, which the server does where the data lie; then of what belongs together.
  const newest = (tags) => ['last()', `group(${columns(tags)})`, 'sort(columns: ["_time"])', 'last()'];
  const steps = {
    time: [...(fits ? [filter(fits)] : []), `group(${columns(by)})`, `aggregateWindow(every: v.windowPeriod, fn: ${fn}, createEmpty: false)`],
    range: [...(fits ? [filter(fits)] : []), ...(fn === 'last' ? newest(by) : [`group(${columns(by)})`, `${fn}()`])],
    devices: [...newest([...by, 'device']), ...(fits ? [filter(fits)] : []), `group(${columns(by)})`, 'count()'],
  }[over];
  return [...among, ...steps].join('\n  |> ');
}

/** The values a reader may choose from. */
export const choices = {
  influxql: {
    station: 'SHOW TAG VALUES WITH KEY = "station"',
    cell: 'SHOW TAG VALUES WITH KEY = "cell" WHERE "station" =~ /^${station:regex}$/',
  },
  flux: {
    station: 'import "influxdata/influxdb/schema"\nschema.tagValues(bucket: v.defaultBucket, tag: "station")',
    cell: 'import "influxdata/influxdb/schema"\nschema.tagValues(bucket: v.defaultBucket, tag: "cell", predicate: (r) => r.station =~ /^${station:regex}$/)',
  },
};
