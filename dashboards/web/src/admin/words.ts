// Words of the administration. English must have what Chinese has, or the build fails.
import { speech, type Like } from '../lib/words.svelte';

const zh = {
  parts: { devices: '设备', cells: '网格与公示牌', plans: '平面图', modbus: 'Modbus 探测', people: '人员', shifts: '排班', rules: '规则与升级', orders: '下发指令', waiting: '待登记设备', letters: '无法识别的消息', imports: '导入', accounts: '账号与权限', audit: '审计记录' },
  notAllowed: '本账号没有这个权限。', check: '先看看会改什么', apply: '就这样改', stored: '已保存，两秒内生效。', nothing: '没有变化。', added: '新增', changed: '修改', retired: '停用', hints: '提醒', problems: '没有导入任何内容，因为：', lineNo: '第', lineEnd: '行',
  edit: '修改', add: '新增', end: '结束', remove: '撤销', optional: '可不填', name: '名称', from: '从', until: '到', open: '长期', save: '保存',
  devices: { title: '设备', new: '登记新设备', id: '编号', address: '通信地址', addressHint: '空着就是 native:编号', cell: '网格（多个用分号隔开）', lon: '经度', lat: '纬度', silent: '多久没消息算失联（秒）', retire: '停止使用', retired: '已停用', back: '重新启用',
    now: '它刚刚发来的', waiting: '等待它的下一条消息……', received: '收到', measured: '测量时间', freshness: '新旧', quality: '质量', pick: '从左边选一个设备，看它刚刚发来了什么；或登记新设备。', mayNot: '本账号可以查看设备，不能修改。', registered: '登记于', chart: '曲线', onMap: '在地图上看' },
  fresh: { live: '实时', retained: '代理保留的旧消息', replayed: '重发', backfill: '补传' } as Record<string, string>,
  waiting: { title: '待登记设备', lead: '收到了消息、或者网桥报来的、但还没有登记的设备。登记到网格里才会告警；没登记的设备报火警时，只有一条故障告警提醒。', none: '没有等待登记的设备。', dismissed: '看不归我们管的', burns: '正在报火警', announced: '网桥报来的，还没有消息', first: '首次', last: '最近', messages: '条消息', place: '登记', dismiss: '不归我们管', placed: '已登记：', cell: '网格', replace: '顶替同编号的旧设备（换新）', more: '更多' },
  orders: { title: '下发指令', lead: '告诉 LoRaWAN 设备的话，如多久上报一次。设备多在休眠，说过话才听得到，所以指令会等；设备自己确认了才算完成。', device: '设备', order: '指令', value: '数值', within: '应在几小时内确认', give: '下发', given: '已交给网关：', withdraw: '撤回', withdrawn: '已撤回：', until: '期限', none: '还没有下发过指令。', more: '更早的',
    state: { waiting: '待下发', handed: '网络服务器已收下', sent: '已发出', confirmed: '设备已确认', failed: '失败', withdrawn: '已撤回', unconfirmed: '逾期未确认' } as Record<string, string> },
  letters: { title: '无法识别的消息', lead: '收到了但用不上的消息，以及原因。先登记设备或在 station.toml 里配好主题，再重试。', none: '没有无法识别的消息。', again: '重试', taken: '已收下', refused: '还是用不上：', bytes: '字节', more: '更早的' },
  imports: { title: '导入文件', lead: '先看差别，再导入。有一行不对，整个文件都不会导入。', what: '内容', file: '文件', kinds: { cells: '网格（GeoJSON）', devices: '设备（CSV）', people: '人员与职责（CSV）', absences: '请假（CSV）', teams: '队伍（CSV）', buildings: '楼栋（CSV）', households: '住户（CSV）' },
    drop: '选择文件，或拖到这里' },
  cells: { title: '网格', pick: '选一个网格', board: '公示牌', print: '打印', code: '加上二维码', lead: '打印后贴在网格显眼处。', duty: '本网格负责人', phone: '电话', scan: '扫码上报隐患', police: '火警 119', nobody: '暂无负责人', edges: '边界', draw: '改边界', drawHint: '拖动圆点改边界；双击圆点删除，点线段中间的小圆点增加。键盘：Tab 选点，方向键移动，+ 增加，Delete 删除。',
    area: '面积', parent: '上级', devices: '台设备', reset: '恢复原样', hectares: '公顷' },
  people: { title: '人员', new: '登记新人员', id: '编号', phone: '电话', trained: '培训有效到', contacts: '联系方式（渠道=地址，每行一个）', duties: '职责', absences: '请假', role: '职责', cell: '网格', hours: '时间（空着是全天）', person: '人员', standIn: '顶班', reason: '事由',
    leave: '离职', leaveSure: '离职后所有职责马上结束。确定吗？', week: '本周排班', none: '没有人员。', onNow: '在岗', newDuty: '新增职责', newAbsence: '登记请假', left: '已离职', noStandIn: '不指定' },
  roles: { lead: '网格长', deputy: '副网格长', worker: '网格员', officer: '社区工作者', duty_officer: '值班员', helper: '协管员', department: '部门' } as Record<string, string>,
  rules: { title: '规则', lead: '正在生效的规则，写在 rules.toml 里。', when: '什么时候', who: '通知', kinds: '设备', ladder: '升级阶梯：如果一直没人接警', plan: '谁在什么时候被通知', at: '从', nobodyFound: '没有人：立即转下一步', unanswered: '报告：无人应答', none: '这一类不通知任何人。',
    need: '需要接警人数', after: '秒后', falls: '内下降', rises: '内上升', silent: '没有消息超过', still: '在清醒时段没有动静超过', holds: '持续', shown: '只显示', pickCell: '选网格', called: { responsible: '责任人', up: '上{}级责任人', team: '队伍{}', nearest: '最近的{}人' } as Record<string, string> },
  accounts: { title: '账号', new: '新账号', name: '账号名', person: '对应人员（编号）', roles: '角色', cells: '网格（用分号隔开）', disabled: '已停用', disable: '停用', enable: '启用', invite: '邀请', link: '一次性邀请链接，三天内有效：', totp: '两步验证', mustChange: '待改密码', noPassword: '无密码', copy: '复制', copied: '已复制' },
  roleNames: { administrator: '管理员', duty_officer: '值班员', supervisor: '督导员', worker: '网格员', department: '部门', viewer: '查看', service: '程序' } as Record<string, string>,
  audit: { title: '审计记录', who: '谁', what: '做了什么（开头）', target: '对什么', time: '时间', detail: '内容', none: '没有符合的记录。', more: '更早的', csv: '导出 CSV', whatHint: '如 alarm.、people.read、account.' },
};
const en: Like<typeof zh> = {
  parts: { devices: 'Devices', cells: 'Cells and boards', plans: 'Floor plans', modbus: 'Modbus probe', people: 'People', shifts: 'Roster', rules: 'Rules and ladders', orders: 'Orders', waiting: 'Waiting room', letters: 'Unusable messages', imports: 'Import', accounts: 'Users and rights', audit: 'Audit log' },
  notAllowed: 'This account may not do this.', check: 'See what would change', apply: 'Change it so', stored: 'Stored; in force within two seconds.', nothing: 'Nothing changes.', added: 'added', changed: 'changed', retired: 'retired', hints: 'Worth a look', problems: 'Nothing was taken in, because:', lineNo: 'line', lineEnd: '',
  edit: 'Change', add: 'Add', end: 'End', remove: 'Take away', optional: 'may be empty', name: 'Name', from: 'From', until: 'Until', open: 'open', save: 'Save',
  devices: { title: 'Devices', new: 'Add a device', id: 'Id', address: 'Address', addressHint: 'empty: native:<id>', cell: 'Cells (separated by semicolons)', lon: 'Longitude', lat: 'Latitude', silent: 'Silent after (seconds)', retire: 'Take out of use', retired: 'out of use', back: 'Use again',
    now: 'What it just sent', waiting: 'Waiting for its next message…', received: 'Received', measured: 'Measured', freshness: 'Age', quality: 'Quality', pick: 'Choose a device to see what it just sent, or add one.', mayNot: 'This account may look at devices and not change them.', registered: 'Registered', chart: 'Chart', onMap: 'On the map' },
  fresh: { live: 'live', retained: 'kept by the broker', replayed: 'sent again', backfill: 'sent later' },
  waiting: { title: 'Waiting room', lead: 'Devices that are heard, or announced by a bridge, and not registered. They raise alarms once they are placed in a cell; until then a fire of theirs is one trouble alarm that says so.', none: 'No device waits.', dismissed: 'Show those that are none of ours', burns: 'reports fire', announced: 'announced, not heard yet', first: 'first', last: 'last', messages: 'messages', place: 'Place', dismiss: 'None of ours', placed: 'Placed:', cell: 'Cell', replace: 'Takes the place of the device with this id (exchanged)', more: 'More' },
  orders: { title: 'Orders', lead: 'What LoRaWAN devices are told, such as how often to report. Most of them sleep and hear only after they have spoken, so an order waits, and is done when the device itself confirms it.', device: 'Device', order: 'Order', value: 'Number', within: 'Hours to confirm within', give: 'Give the order', given: 'Given:', withdraw: 'Take back', withdrawn: 'Taken back:', until: 'until', none: 'No order was given yet.', more: 'Older',
    state: {} }, // The API's names are English.
  letters: { title: 'Unusable messages', lead: 'What came in and could not be used, and why. Register the device, or give its topic a decoder in station.toml, then try again.', none: 'There is no such message.', again: 'Try again', taken: 'Taken in', refused: 'Still not usable:', bytes: 'bytes', more: 'Older' },
  imports: { title: 'Import a file', lead: 'See the difference first, then import. One wrong row, and nothing of the file is taken.', what: 'What', file: 'File', kinds: { cells: 'Cells (GeoJSON)', devices: 'Devices (CSV)', people: 'People and duties (CSV)', absences: 'Absences (CSV)', teams: 'Teams (CSV)', buildings: 'Buildings (CSV)', households: 'Households (CSV)' },
    drop: 'Choose a file, or drop it here' },
  cells: { title: 'Cells', pick: 'Choose a cell', board: 'Board', print: 'Print', code: 'Add the code', lead: 'To be put up where everybody in the cell sees it.', duty: 'Who answers for this cell', phone: 'Telephone', scan: 'Scan to report a hazard', police: 'Fire: 119', nobody: 'nobody yet', edges: 'Outline', draw: 'Change the outline', drawHint: 'Drag a dot to move it, double-click takes it away; the small dots between add one. By keys: Tab chooses a dot, arrows move it, + adds one, Delete takes it away.',
    area: 'Area', parent: 'Belongs to', devices: 'devices', reset: 'As it was', hectares: 'ha' },
  people: { title: 'People', new: 'Add a person', id: 'Id', phone: 'Telephone', trained: 'Trained until', contacts: 'Contacts (channel=address, one a line)', duties: 'Duties', absences: 'Absences', role: 'Role', cell: 'Cell', hours: 'Hours (empty: around the clock)', person: 'Person', standIn: 'Stand-in', reason: 'Reason',
    leave: 'Leaves', leaveSure: 'All duties end at once. Sure?', week: 'Shifts of the week', none: 'Nobody yet.', onNow: 'on duty', newDuty: 'New duty', newAbsence: 'New absence', left: 'has left', noStandIn: 'nobody in particular' },
  roles: {}, // The API's names are English.
  rules: { title: 'Rules', lead: 'The rules in force, as rules.toml says them.', when: 'When', who: 'Calls', kinds: 'Devices', ladder: 'The ladder, if nobody answers', plan: 'Who is told when', at: 'From', nobodyFound: 'nobody: the next step follows at once', unanswered: 'The station says that nobody answered', none: 'Nobody is called for this class.',
    need: 'must acknowledge', after: 's later', falls: 'falls within', rises: 'rises within', silent: 'silent for', still: 'none in waking hours for', holds: 'for', shown: 'shown only', pickCell: 'Cell', called: {} },
  accounts: { title: 'Users', new: 'New account', name: 'Account', person: 'Person (id)', roles: 'Roles', cells: 'Cells (separated by semicolons)', disabled: 'disabled', disable: 'Disable', enable: 'Enable', invite: 'Invite', link: 'A link that lets in once, for three days:', totp: 'second factor', mustChange: 'password to be changed', noPassword: 'no password', copy: 'Copy', copied: 'Copied' },
  roleNames: {},
  audit: { title: 'Audit log', who: 'Who', what: 'What (its beginning)', target: 'To what', time: 'Time', detail: 'Detail', none: 'There is no such line.', more: 'Older', csv: 'Export CSV', whatHint: 'such as alarm., people.read, account.' },
};
export const words = (): typeof zh => speech.pick(zh, en as typeof zh);
