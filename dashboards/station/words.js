// Every word that the page says, in Chinese and in English. What the gateway says in words (texts of alarms, notes, details) is shown as it comes.

import { remember, remembered } from './gateway.js';

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
    back: '返回', loading: '正在读取……', notLoaded: '读不到这条报警：', again: '重试', since: '已过', minutes: '分钟', hours: '小时', days: '天',
    sending: '提交中……', give: '提交', notReached: '没有连上网关。', silentGateway: '网关 20 秒没有回答。', unsure: '不知道是否生效，请看经过，再试一次。',
    done: '已提交：', mayOnlyLook: '本账号只能查看，不能处置。', noDeeds: '这条报警已办结。', waitsFor: '等待另一个人核实。', more: '更多', cancel: '取消',
    note: '备注（可不填）', reason: '原因（必填）', until: '到什么时候', choose: '请选择', disposition_: '结果', cause_: '误报原因（知道就选）', verdict_: '评价',
    card: '现场卡', noCard: '这条报警没有现场卡。', toDo: '要做的事', place: '地点', position: '坐标', building: '楼栋', floors: '层', basements: '层地下室', staircases: '个楼梯',
    lifts: '部电梯', household: '住户', people: '人', helpNeeded: '需要帮助', neighbours: '邻里互助组', noHousehold: '未登记，或本账号无权查看', hydrants: '最近的消火栓', noHydrants: '500 米内没有登记的消火栓。',
    atAlarm: '报警时', now: '现在', metres: '米', sameCell: '同一网格', camera: '最近的摄像机', none: '无', nearby: '附近报警', record: '该设备（含本次）',
    recordAlarms: '报警', recordReal: '真火', recordFalse: '误报', recordTests: '测试', recordFaults: '故障', times: '次',
    history: '经过', told: '通知了谁', nobodyTold: '还没有通知任何人。', refresh: '更新', step: '第', stepEnd: '级', attempt: '第', attemptEnd: '次尝试', gateway: '网关', 
    repeats: '重复上报', need: '需要接警人数', heldUntil: '到',
    stage: { raised: '已报警', dispatched: '已派发', acknowledged: '已接警', on_the_way: '在路上', on_site: '已到场', resolved: '已处置', verified: '已核实', evaluated: '已评价', closed: '已办结' },
    held: { suspended: '已挂账', shelved: '已静音', suppressed: '停用中，不通知', out_of_service: '停用中' },
    deed: { acknowledge: '接警确认', on_the_way: '我在路上', on_site: '我已到场', resolve: '填写结果', verify: '核实通过', return: '打回重办', hand_over: '上报上级', suspend: '挂账',
      resume: '提前取消挂账', shelve: '暂时静音', unshelve: '取消静音', evaluate: '评价', end: '恢复启用' },
    disposition: { real_fire: '真实火情', false_alarm: '误报', test: '测试', device_fault: '设备故障', hazard_removed: '隐患已排除', handed_over: '已移交' },
    cause: { cooking: '做饭', steam: '水汽', dust: '灰尘', insects: '小虫', smoking: '吸烟', other: '其他' },
    verdict: { true: '报得对', false: '没有这回事', nuisance: '有原因但不危险', missed: '报晚了或漏报' },
    reached: { queued: '未送出', accepted: '已送出，是否看到未知', shown: '已显示', opened: '已打开', acknowledged: '已接警' },
    outcome: { delivered: '', retry: '将重试', gave_up: '放弃', handed_on: '改由' },
    what: { raised: '报警', repeated: '再次上报', told: '已通知', escalated: '升级通知', acknowledged: '接警', returned: '恢复正常', active_again: '再次触发', resolved: '处置', closed: '办结',
      nobody_to_tell: '无人可通知', not_told: '没有通知到', on_the_way: '出发', on_site: '到场', verified: '核实', sent_back: '打回', evaluated: '评价', handed_over: '移交',
      owner_changed: '换了责任人', suspended: '挂账', shelved: '静音', suppressed: '停用中，不通知', resumed: '恢复通知', no_progress: '接警后没有进展', unanswered: '无人应答' },
    mark: { good: '✓ 正常', low: '▼ 压力低', very_low: '✕ 几乎无水', stale: '! 数据过时', unknown: '? 压力未知' },
    help: { cannot_walk: '行动不便', bedridden: '卧床', oxygen: '吸氧', deaf: '听障', blind: '视障', dementia: '失智', lives_alone: '独居', child: '儿童', pregnant: '孕妇', other: '需帮助' },
    to_do: { acknowledge: '确认接警', call_household: '给住户打电话', call119: '发现明火立即拨打 119', help_those_who_cannot: '先帮助不能自行撤离的人', go_and_look: '到现场查看',
      keep_fire_lane_open: '保持消防车道畅通', check_hydrant: '检查消火栓和阀门', report_burst: '如管道漏水，报告供水单位', check_power: '检查电源和网络', replace_battery: '更换电池',
      say_what_it_was: '填写结果' },
    problem: { 'no-such-alarm': '这条报警已办结或不存在。', 'already-acknowledged': '别人已经接警。', 'already-resolved': '别人已经处置。', 'not-acknowledged': '要先接警。', 'not-resolved': '要先填写结果。',
      'not-held': '它没有被挂账或静音。', 'already-verified': '别人已经核实。', 'already-said': '您已经提交过。', 'already-theirs': '已经在那个人手里。', 'own-work': '您经手过这条报警，要由别人核实。',
      'nobody-there': '没有人可以移交。', fire: '火警不能推迟。', 'bad-until': '时间不对：要在将来，也不能太远。', 'not-allowed': '本账号没有这个权限。', 'is-maintenance': '停用只能结束。',
      'no-maintenance': '停用已经结束。', 'bad-body': '填写的内容不能用。' },
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
    back: 'Back', loading: 'Loading…', notLoaded: 'This alarm cannot be read:', again: 'Try again', since: 'for', minutes: 'min', hours: 'h', days: 'days',
    sending: 'Sending…', give: 'Send',
    notReached: 'The gateway was not reached.', silentGateway: 'The gateway has not answered for 20 s.',
    unsure: 'Nobody knows whether it took effect: look at the history, then try again.',
    done: 'Done:', mayOnlyLook: 'This account may look and not act.', noDeeds: 'This alarm is closed.', waitsFor: 'Somebody else must verify it.', more: 'More', cancel: 'Cancel',
    note: 'Note (may be left out)', reason: 'Reason', until: 'Until', choose: 'Choose', disposition_: 'What it was', cause_: 'Cause of the false alarm, if known', verdict_: 'Verdict',
    card: 'Card', noCard: 'This alarm has no card.', toDo: 'To do', place: 'Place', position: 'Position', building: 'Building', floors: 'floors', basements: 'basements', staircases: 'staircases',
    lifts: 'lifts', household: 'Who lives there', people: 'people', helpNeeded: 'Need help', neighbours: 'Neighbours', noHousehold: 'not on record, or not for this account', hydrants: 'Nearest hydrants',
    noHydrants: 'No hydrant on record within 500 m.', atAlarm: 'at the alarm', now: 'now', metres: 'm', sameCell: 'same cell', camera: 'Nearest camera', none: 'none', nearby: 'Other alarms nearby',
    record: 'This device, this time included', recordAlarms: 'alarms', recordReal: 'real', recordFalse: 'false', recordTests: 'tests', recordFaults: 'faults', times: '',
    history: 'History', told: 'Who was told', nobodyTold: 'Nobody has been told yet.', refresh: 'Refresh', step: 'step', stepEnd: '', attempt: 'try', attemptEnd: '', gateway: 'gateway', 
    repeats: 'Reported again', need: 'Must acknowledge', heldUntil: 'until',
    stage: { raised: 'raised', dispatched: 'dispatched', acknowledged: 'acknowledged', on_the_way: 'on the way', on_site: 'on site', resolved: 'resolved', verified: 'verified', evaluated: 'evaluated',
      closed: 'closed' },
    held: { suspended: 'suspended', shelved: 'shelved', suppressed: 'out of service, calls nobody', out_of_service: 'out of service' },
    deed: { acknowledge: 'Acknowledge', on_the_way: 'On my way', on_site: 'I am there', resolve: 'Say what it was', verify: 'Verify', return: 'Send back', hand_over: 'Hand over up', suspend: 'Suspend',
      resume: 'Resume now', shelve: 'Shelve', unshelve: 'Unshelve', evaluate: 'Evaluate', end: 'Back in service' },
    disposition: { real_fire: 'real fire', false_alarm: 'false alarm', test: 'test', device_fault: 'device fault', hazard_removed: 'hazard removed', handed_over: 'handed over' },
    cause: { cooking: 'cooking', steam: 'steam', dust: 'dust', insects: 'insects', smoking: 'smoking', other: 'other' },
    verdict: { true: 'it was right', false: 'there was nothing', nuisance: 'something, and no danger', missed: 'too late, or missed' },
    reached: { queued: 'not sent', accepted: 'sent; nobody knows whether it was seen', shown: 'shown', opened: 'opened', acknowledged: 'acknowledged' },
    outcome: { delivered: '', retry: 'will be tried again', gave_up: 'given up', handed_on: 'handed to' },
    what: { raised: 'raised', repeated: 'reported again', told: 'told', escalated: 'escalated', acknowledged: 'acknowledged', returned: 'returned to normal', active_again: 'active again',
      resolved: 'resolved', closed: 'closed', nobody_to_tell: 'nobody to tell', not_told: 'not told', on_the_way: 'on the way', on_site: 'on site', verified: 'verified', sent_back: 'sent back',
      evaluated: 'evaluated', handed_over: 'handed over', owner_changed: 'another owner', suspended: 'suspended', shelved: 'shelved', suppressed: 'suppressed', resumed: 'resumed',
      no_progress: 'no progress', unanswered: 'unanswered' },
    mark: { good: '✓ good', low: '▼ low', very_low: '✕ hardly any water', stale: '! old value', unknown: '? not known' },
    help: { cannot_walk: 'cannot walk', bedridden: 'bedridden', oxygen: 'oxygen', deaf: 'deaf', blind: 'blind', dementia: 'dementia', lives_alone: 'lives alone', child: 'child', pregnant: 'pregnant',
      other: 'needs help' },
    to_do: { acknowledge: 'Acknowledge', call_household: 'Telephone those who live there', call119: 'Call 119 if you see fire', help_those_who_cannot: 'Help those first who cannot leave alone',
      go_and_look: 'Go and look', keep_fire_lane_open: 'Keep the fire lane open', check_hydrant: 'Check hydrant and valve', report_burst: 'Report a burst to the waterworks',
      check_power: 'Check power and network', replace_battery: 'Replace the battery', say_what_it_was: 'Say what it was' },
    problem: {}, // The gateway's own sentence is English.
    unacknowledged: 'unacknowledged', acknowledged: 'acknowledged', returned_unacknowledged: 'returned, unacknowledged',
    returned: 'returned, to be resolved', closed: 'closed',
  },
};
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

let language = remembered('language') === 'en' ? 'en' : 'zh';

export const spoken = () => language;
export const say = (key) => WORDS[language][key] ?? key;
// A value of the API, of one kind: such as a stage. One that the page does not know yet keeps its name.
export const word = (kind, value) => WORDS[language][kind][value] ?? value;
export const metricName = (metric) => (language === 'zh' && METRICS[metric]) || metric;
export const unitName = (unit) => UNITS[unit] ?? unit;

export function switchLanguage() {
  language = language === 'zh' ? 'en' : 'zh';
  remember('language', language);
}
