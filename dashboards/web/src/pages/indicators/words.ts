// Words of the page of indicators. English must have what Chinese has, or the build fails.
import { speech, type Like } from '../../lib/words.svelte';

const zh = {
  title: '指标与周报', lead: '报警系统对人是否合用。目标值依据 ISA-18.2、IEC 62682 与 EEMUA 191，按一名值守人员计。', range: '时段', d7: '最近 7 天', d14: '最近 14 天', d28: '最近 28 天', csv: '导出 CSV', png: '导出 PNG', cut: '报警太多，只计算了较新的部分。', empty: '这个时段没有报警。',
  target: '目标', good: '达标', over: '超标', perTen: '每 10 分钟报警', peak: '最忙的 10 分钟', flood: '报警洪水时间', chattering: '反复报警的设备', stale: '每天的长期报警', staleAlarms: '长期报警', staleHint: '持续 24 小时以上', alarms: '报警数',
  priorities: '优先级分布', actual: '实际', wanted: '目标', high: '高（火警）', medium: '中（监管）', low: '低（故障、屏蔽、测试）',
  times: '响应时间', acknowledge: '接警', arrive: '到场', resolve: '处置', median: '一半在此时间内', nineOfTen: '九成在此时间内', count: '次数', of: '共',
  weeks: '每周', week: '起始日期', cells: '按网格', people: '按人员', who: '名称', minute: '一分钟内最多', device: '设备', rule: '规则', none: '没有。', noChatter: '没有设备反复报警。', nobody: '这个时段没有通知过人。', counted: '被通知的报警',
  proposals: '改进建议', proposalsLead: '网关每天根据处置结果和评价回看四周，把每个建议放到历史数据里重演。由人决定是否采用。', look: '现在就找', looking: '正在查找，完成后显示在这里。', found: '查找完成，新建议：', nothingFound: '查找完成，没有新的建议。', notLooked: '查找没有成功，原因在网关日志里。', noProposals: '目前没有建议。', decided: '已决定的',
  change: { threshold: '规则 {rule}：界限由 {from} 改为 {to}', delay: '规则 {rule}：确认时间由 {from} 秒改为 {to} 秒', exchange: '更换或移装设备 {device}' }, counts: '已评定的报警', real: '真实', wolf: '无事', missed: '报晚或漏报', unsaid: '未评定',
  effect: '如果那时就这样', accept: '采用', refuse: '不采用', reason: '原因', inForce: '已生效', notInForce: '规则里还没有这样写', case: '已建工单',
  state: { open: '待决定', accepted: '已采用', refused: '未采用', withdrawn: '已撤回' } as Record<string, string>, mayNot: '只有管理员可以决定。',
};
const en: Like<typeof zh> = {
  title: 'Indicators and weekly figures', lead: 'How well the alarms serve people. Targets are those of ISA-18.2, IEC 62682 and EEMUA 191 for one operator.', range: 'Span', d7: '7 days', d14: '14 days', d28: '28 days', csv: 'Export CSV', png: 'Export PNG', cut: 'There were more alarms than are looked at: the oldest are left out.', empty: 'There was no alarm in this span.',
  target: 'Target', good: 'good', over: 'over', perTen: 'Alarms in 10 minutes', peak: 'Worst 10 minutes', flood: 'Time in flood', chattering: 'Chattering devices', stale: 'Stale alarms a day', staleAlarms: 'Stale', staleHint: 'stood for 24 hours or more', alarms: 'Alarms',
  priorities: 'Priorities', actual: 'Actual', wanted: 'Target', high: 'high (fire)', medium: 'medium (supervisory)', low: 'low (trouble, disabled, test)',
  times: 'How long it took', acknowledge: 'Acknowledge', arrive: 'Arrive', resolve: 'Resolve', median: 'half within', nineOfTen: 'nine of ten within', count: 'count', of: 'of',
  weeks: 'By week', week: 'From', cells: 'By cell', people: 'By person', who: 'Name', minute: 'most in a minute', device: 'Device', rule: 'Rule', none: 'None.', noChatter: 'No device chatters.', nobody: 'Nobody was told in this span.', counted: 'Alarms told',
  proposals: 'Proposals', proposalsLead: 'Once a day the station looks back four weeks at what came of its alarms and replays each change on the journal. People decide.', look: 'Look now', looking: 'It is being looked at; what comes of it appears here.', found: 'Looked; new proposals:', nothingFound: 'Looked; there is nothing new to propose.', notLooked: 'It could not be looked at; the log of the gateway says why.', noProposals: 'There is no proposal now.', decided: 'decided before',
  change: { threshold: 'Rule {rule}: the limit from {from} to {to}', delay: 'Rule {rule}: raise after {to} s instead of {from} s', exchange: 'Exchange {device}, or put it elsewhere' }, counts: 'Judged alarms', real: 'real', wolf: 'for nothing', missed: 'late or missed', unsaid: 'not judged',
  effect: 'Had it been so', accept: 'Accept', refuse: 'Refuse', reason: 'Reason', inForce: 'in force', notInForce: 'the rules do not say so yet', case: 'case',
  state: { open: 'open', accepted: 'accepted', refused: 'refused', withdrawn: 'withdrawn' }, mayNot: 'Administrators decide.',
};
export const words = (): typeof zh => speech.pick(zh, en as typeof zh);
