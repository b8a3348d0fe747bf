// What the dashboards show. Readings come from InfluxDB; alarms and the gateway itself from its /metrics, for alarms are not written to InfluxDB.
const GOOD = 'green', LOW = 'orange', BAD = 'red', PLAIN = 'text';
const none = [[null, PLAIN], [1, BAD]];
const devices = (of, field, where) => ({ of, field, where, over: 'devices' });
const chart = (of, field, fn, by) => ({ of, field, fn, by: [by], over: 'time' });
const times = (of, field) => ({ of, field, fn: 'count', by: ['device'], over: 'time', where: { is: true } });
const newest = (of, field, by = ['device']) => ({ of, field, fn: 'last', by, over: 'range' });

const BATTERY = [[null, BAD], [20, LOW], [40, GOOD]];
// GB 50974-2014 7.2.8: 0.14 MPa in normal operation, 0.10 MPa while a fire is fought.
const PRESSURE = [[null, BAD], [100, LOW], [140, GOOD]];

const overview = {
  uid: 'overview', title: '网格概况 Neighbourhood', help: '一个站点的全部网格 Everything of a station, cell by cell',
  rows: [
    [
      { look: 'number', h: 4, title: '有上报的烟感 Smoke detectors heard', ask: [devices('smoke_detector', 'smoke')] },
      { look: 'number', title: '有上报的消火栓 Hydrants heard', ask: [devices('hydrant', 'pressure')] },
      { look: 'number', title: '现在报烟 Smoke now', ask: [devices('smoke_detector', 'smoke', { is: true })], edges: none },
      { look: 'number', title: '水压低于 0.14 MPa Hydrants too low', ask: [devices('hydrant', 'pressure', { below: 140 })], edges: none },
      { look: 'number', title: '电量低于 20% Batteries low', ask: [devices(['smoke_detector', 'hydrant'], 'battery', { below: 20 })], edges: none },
      { look: 'number', title: '现在故障 Faults now', ask: [devices(['smoke_detector', 'heat_detector', 'gas_detector', 'panel'], 'fault', { is: true })], edges: none },
    ],
    [
      { look: 'bars', title: '烟雾信号 Smoke, by cell', help: '每格每段时间报烟的次数 How many reports of smoke', ask: [{ of: 'smoke_detector', field: 'smoke', fn: 'count', by: ['cell'], over: 'time', where: { is: true } }] },
      { look: 'chart', title: '最低水压 Lowest hydrant pressure, by cell', unit: 'pressurekpa', edges: PRESSURE, line: true, ask: [chart('hydrant', 'pressure', 'min', 'cell')] },
    ],
    [
      { look: 'chart', title: '最高温度 Highest temperature, by cell', unit: 'celsius', ask: [chart(['smoke_detector', 'heat_detector'], 'temperature', 'max', 'cell')] },
      { look: 'chart', title: '可燃气体 Gas, % LEL', unit: 'percent', edges: [[null, GOOD], [10, LOW], [25, BAD]], line: true, ask: [chart('gas_detector', 'gas_lel', 'max', 'device')] },
    ],
    [
      { look: 'bars', title: '通行 Passing through the gates', ask: [{ ...chart('access_camera', 'entry', 'count', 'cell') }] },
      { look: 'chart', title: '画面里的人 Persons in view', ask: [chart('camera', 'persons', 'max', 'device')] },
    ],
    [
      { look: 'chart', title: '水箱液位 Water in the tanks', unit: 'lengthm', ask: [chart('water_tank', 'level', 'min', 'device')] },
      { look: 'bars', title: '消防通道被占、电动车进梯 Fire lane blocked, e-bike in lift', ask: [times('camera', 'fire_lane_blocked'), times('camera', 'ebike_in_lift')] },
      { look: 'bars', title: '要慎用的上报 Reports with uncertain values', ask: [{ ...chart(['smoke_detector', 'hydrant', 'gas_detector'], 'quality', 'count', 'cell') }] },
    ],
  ],
};

const hydrants = {
  uid: 'hydrants', title: '消火栓 Hydrants', help: '水压、用水、被动过 Pressure, use, and who touched them',
  rows: [
    [
      { look: 'number', h: 4, title: '有上报 Heard', ask: [devices('hydrant', 'pressure')] },
      { look: 'number', title: '低于 0.14 MPa Below 0.14 MPa', ask: [devices('hydrant', 'pressure', { below: 140 })], edges: none },
      { look: 'number', title: '低于 0.10 MPa Below 0.10 MPa', ask: [devices('hydrant', 'pressure', { below: 100 })], edges: none },
      { look: 'number', title: '电量低于 20% Batteries low', ask: [devices('hydrant', 'battery', { below: 20 })], edges: none },
      { look: 'number', title: '现在倾斜 Tilted now', ask: [devices('hydrant', 'tilt', { is: true })], edges: none },
    ],
    [
      { look: 'chart', h: 10, w: 16, title: '水压 Pressure', unit: 'pressurekpa', edges: PRESSURE, line: true, ask: [chart('hydrant', 'pressure', 'mean', 'device')] },
      { look: 'gauge', title: '最近的水压 Newest pressure', unit: 'pressurekpa', edges: PRESSURE, ask: [newest('hydrant', 'pressure')] },
    ],
    [
      { look: 'chart', title: '流量 Flow, L/s', ask: [chart('hydrant', 'flow', 'max', 'device')] },
      { look: 'bars', title: '出水、开盖、撞击、倾斜 Water, cover, shock, tilt', ask: [times('hydrant', 'water_discharge'), times('hydrant', 'cover_open'), times('hydrant', 'shock'), times('hydrant', 'tilt')] },
    ],
    [
      { look: 'chart', title: '电量 Battery', unit: 'percent', ask: [chart('hydrant', 'battery', 'min', 'device')] },
      { look: 'chart', title: '信号 Signal', unit: 'dBm', ask: [chart('hydrant', 'rssi', 'mean', 'device')] },
      { look: 'bars', title: '超出量程的水压 Pressures out of range', help: '不画在图上的值 Values that no chart shows', ask: [chart('hydrant', 'pressure_bad', 'count', 'device')] },
    ],
  ],
};

const detectors = {
  uid: 'detectors', title: '烟感健康 Smoke detectors’ health', help: '电量、故障、失联、脏污 Battery, faults, silence, dirt',
  rows: [
    [
      { look: 'number', h: 4, title: '有上报 Heard', ask: [devices('smoke_detector', 'smoke')] },
      { look: 'number', title: '电量低于 20% Batteries low', ask: [devices('smoke_detector', 'battery', { below: 20 })], edges: none },
      { look: 'number', title: '自报电量低 Say their battery is low', ask: [devices('smoke_detector', 'battery_low', { is: true })], edges: none },
      { look: 'number', title: '故障 Faulty', ask: [devices('smoke_detector', 'fault', { is: true })], edges: none },
      { look: 'number', title: '被拆下 Taken down', ask: [devices('smoke_detector', 'removed', { is: true })], edges: none },
      { look: 'number', title: '被静音 Silenced', ask: [devices('smoke_detector', 'silenced', { is: true })], edges: none },
    ],
    [
      { look: 'table', h: 10, title: '最近一次上报 Last report, the oldest first', help: '按时间排序，最上面的最久没有消息 Sort by time', ask: [newest('smoke_detector', 'smoke', ['device', 'cell'])] },
      { look: 'gauge', title: '电量 Battery', unit: 'percent', edges: BATTERY, ask: [newest('smoke_detector', 'battery')] },
    ],
    [
      { look: 'chart', title: '空闲时的烟浓度 Smoke density at rest', help: '慢慢升高的是脏了 What rises slowly is dirty', unit: 'percent', ask: [chart('smoke_detector', 'smoke_density', 'min', 'device')] },
      { look: 'chart', title: '温度 Temperature', unit: 'celsius', ask: [chart('smoke_detector', 'temperature', 'max', 'device')] },
    ],
    [
      { look: 'chart', title: '电池电压 Battery voltage', unit: 'volt', ask: [chart('smoke_detector', 'battery_voltage', 'min', 'device')] },
      { look: 'chart', title: '信号 Signal', unit: 'dBm', ask: [chart('smoke_detector', 'rssi', 'mean', 'device')] },
      { look: 'chart', title: '信噪比 Signal to noise', unit: 'dB', ask: [chart('smoke_detector', 'snr', 'mean', 'device')] },
    ],
    [
      { look: 'bars', title: '自检 Tests', ask: [times('smoke_detector', 'test')] },
      { look: 'bars', title: '故障、拆下 Faults and removals', ask: [times('smoke_detector', 'fault'), times('smoke_detector', 'removed'), times('smoke_detector', 'tamper')] },
      { look: 'bars', title: '补传的上报 Reports that came late', ask: [chart('smoke_detector', 'freshness', 'count', 'cell')] },
    ],
  ],
};

const per = (metric, by, seconds = '$__rate_interval') => `sum by (${by}) (rate(${metric}[${seconds}]))`;
const all = (metric) => `sum(rate(${metric}[$__rate_interval]))`;
const within = (share, metric, by, time = '$__rate_interval') => `histogram_quantile(${share}, sum by (le${by ? `, ${by}` : ''}) (rate(${metric}_bucket[${time}])))`;
const response = (title, metric) => ({
  look: 'chart', title, unit: 's', help: '前一小时里的一半和九成；不算演练和点名 Of the hour before: half, and nine of ten; without drills and roll-calls',
  ask: [{ promql: within(0.5, metric, 'class', '1h'), legend: '{{class}} 50 %' }, { promql: within(0.9, metric, 'class', '1h'), legend: '{{class}} 90 %' }],
});

const alarms = {
  uid: 'alarms', title: '告警与响应 Alarms and response times', help: '从网关的 /metrics 来；单条告警看值班台 From the gateway’s /metrics; single alarms are on its own board',
  rows: [
    [
      ...[['fire', '火警 Fire'], ['supervisory', '监管 Supervisory'], ['trouble', '故障 Trouble']].map(([kind, title]) => ({ look: 'number', h: 4, title, edges: none, ask: [{ promql: `sum(gridwarden_alarms_open{class="${kind}"})` }] })),
      { look: 'number', title: '等着发出的通知 Alerts waiting', edges: none, ask: [{ promql: 'sum(gridwarden_outbox_rows)' }] },
      { look: 'number', title: '没有送到 Given up, last day', edges: none, decimals: 0, ask: [{ promql: 'sum(increase(gridwarden_alerts_total{outcome="gave_up"}[1d]))' }] },
    ],
    [
      { look: 'chart', title: '未关闭 Open', ask: [{ promql: 'sum by (class) (gridwarden_alarms_open)', legend: '{{class}}' }] },
      { look: 'bars', title: '新告警 Raised', ask: [{ promql: 'sum by (class) (increase(gridwarden_alarms_total[$__rate_interval]))', legend: '{{class}}' }] },
    ],
    [response('到“收到” Until acknowledged', 'gridwarden_alarm_acknowledged_seconds'), response('到“到场” Until somebody was there', 'gridwarden_alarm_on_site_seconds'), response('到“办结” Until it was resolved', 'gridwarden_alarm_resolved_seconds')],
    [
      { look: 'bars', title: '通知的结果 What came of alerts', ask: [{ promql: 'sum by (channel, outcome) (increase(gridwarden_alerts_total[$__rate_interval]))', legend: '{{channel}} {{outcome}}' }] },
      { look: 'chart', title: '发一次要多久，九成五 An attempt, 95 %', unit: 's', ask: [{ promql: within(0.95, 'gridwarden_alert_seconds', 'channel'), legend: '{{channel}}' }] },
      { look: 'bars', title: '合并发出的 Folded into others', ask: [{ promql: 'sum by (channel) (increase(gridwarden_alerts_folded_total[$__rate_interval]))', legend: '{{channel}}' }] },
    ],
  ],
};

const gateway = {
  uid: 'gateway', title: '网关 The gateway itself', help: '来源、磁盘、InfluxDB、接口 Sources, disk, InfluxDB, API',
  rows: [
    [
      { look: 'number', h: 4, title: '在线设备 Devices online', ask: [{ promql: 'sum(gridwarden_devices_online)' }] },
      { look: 'number', title: '失联设备 Devices silent', edges: none, ask: [{ promql: 'sum(gridwarden_devices_silent)' }] },
      { look: 'number', title: '死信 Dead letters', ask: [{ promql: 'sum(gridwarden_dead_letters)' }] },
      { look: 'number', title: '时钟可信 Clock believed', edges: [[null, BAD], [1, GOOD]], ask: [{ promql: 'min(gridwarden_clock_trusted)' }] },
      { look: 'number', title: '提交失败 Failed commits, last day', edges: none, decimals: 0, ask: [{ promql: 'sum(increase(gridwarden_commit_failures_total[1d]))' }] },
    ],
    [
      { look: 'chart', title: '每秒 Per second', unit: 'ops', ask: [{ promql: all('gridwarden_messages_total'), legend: '消息 messages' }, { promql: all('gridwarden_readings_total'), legend: '读数 readings' }, { promql: all('gridwarden_batches_total'), legend: '提交 commits' }] },
      { look: 'chart', title: '落盘，九成九 On disk, 99 %', unit: 's', ask: [{ promql: within(0.99, 'gridwarden_commit_seconds'), legend: '提交 commit' }, { promql: within(0.99, 'gridwarden_store_commit_seconds'), legend: '事务 transaction' }, { promql: within(0.99, 'gridwarden_engine_seconds'), legend: '规则 engine' }] },
    ],
    [
      { look: 'chart', title: '文件 Files', unit: 'bytes', ask: [{ promql: 'sum(gridwarden_store_bytes)', legend: '全部 store' }, { promql: 'sum(gridwarden_journal_bytes)', legend: '日志 journal' }] },
      { look: 'chart', title: '写盘 Written to disk', unit: 'Bps', ask: [{ promql: all('gridwarden_written_bytes_total'), legend: '写入 written' }] },
      { look: 'chart', title: '还没有取走的批次 Batches not taken yet', ask: [{ promql: 'sum by (consumer) (gridwarden_journal_lag_batches)', legend: '{{consumer}}' }, { promql: 'sum by (consumer) (increase(gridwarden_journal_dropped_total[$__rate_interval]))', legend: '{{consumer}} 丢弃 dropped' }] },
    ],
    [
      { look: 'bars', title: '新死信 New dead letters', ask: [{ promql: 'sum by (source) (increase(gridwarden_dead_letters_total[$__rate_interval]))', legend: '{{source}}' }] },
      { look: 'chart', title: '连接 Connections', ask: [{ promql: 'sum(gridwarden_listener_connections)', legend: 'MQTT' }, { promql: 'sum(gridwarden_gbt26875_connections)', legend: 'GB/T 26875' }, { promql: 'sum(gridwarden_http_streams)', legend: '页面 pages' }] },
      { look: 'bars', title: '被拒绝 Refused', ask: [{ promql: per('gridwarden_listener_refused_total', 'reason'), legend: 'MQTT {{reason}}' }, { promql: all('gridwarden_http_refused_total'), legend: 'HTTP' }, { promql: all('gridwarden_gbt26875_refused_total'), legend: 'GB/T 26875' }] },
    ],
    [
      { look: 'chart', title: 'InfluxDB', help: '没有确认的批次与最老的一批有多老 What it has not confirmed, and how old that is', ask: [{ promql: 'max(gridwarden_influx_lag_seconds)', legend: '秒 seconds' }, { promql: 'max(gridwarden_influx_lag_batches)', legend: '批次 batches' }] },
      { look: 'bars', title: '写 InfluxDB 的结果 Write requests', ask: [{ promql: 'sum by (result) (increase(gridwarden_influx_requests_total[$__rate_interval]))', legend: '{{result}}' }, { promql: 'sum(increase(gridwarden_influx_lines_given_up_total[$__rate_interval]))', legend: '放弃的行 lines given up' }] },
      { look: 'chart', title: 'Modbus', unit: 'ops', ask: [{ promql: per('gridwarden_modbus_requests_total', 'bus'), legend: '{{bus}} 请求 requests' }, { promql: per('gridwarden_modbus_failures_total', 'bus, why'), legend: '{{bus}} {{why}}' }] },
    ],
    [
      { look: 'bars', title: 'HTTP', ask: [{ promql: 'sum by (status) (increase(gridwarden_http_requests_total[$__rate_interval]))', legend: '{{status}}' }] },
      { look: 'bars', title: 'GB/T 26875', ask: ['frames', 'duplicates', 'denied', 'unanswered'].map((what) => ({ promql: `sum(increase(gridwarden_gbt26875_${what}_total[$__rate_interval]))`, legend: what })) },
      { look: 'bars', title: '上报到市里 To the city’s centre', ask: [{ promql: 'sum by (outcome) (increase(gridwarden_centre_reports_total[$__rate_interval]))', legend: '{{outcome}}' }] },
    ],
  ],
};

export const BOARDS = { flux: [overview, hydrants, detectors], influxql: [overview, hydrants, detectors], prometheus: [alarms, gateway] };
