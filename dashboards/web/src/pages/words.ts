// Words of the pages beside the board: hydrants, charts, devices, who is on duty. English must have what Chinese has, or the build fails.
const zh = {
  hydrants: { title: '消火栓水压', lead: '低于 0.14 MPa 为压力低（GB 50974-2014 7.2.8），低于 0.10 MPa 时几乎无水可用。', none: '还没有登记消火栓。', trend: '近期', only: '只看不正常的', seen: '最近一次', empty: '没有不正常的消火栓。' },
  charts: { title: '曲线', add: '加一条曲线', device: '设备', metric: '量', range: '时段', h1: '1 小时', h6: '6 小时', h24: '24 小时', d7: '7 天', d30: '30 天', live: '实时跟随', csv: '导出 CSV', png: '导出 PNG', remove: '去掉',
    none: '选择设备和量，曲线显示在这里。一次最多六条。', empty: '这个时段没有数据。', hint: '拖动放大，双击恢复。', time: '时间', reload: '重新读取' },
  health: { title: '设备状况', values: '最新读数', battery: '电量低', signal: '信号弱', silent: '失联', fine: '正常', unknown: '未监测', filter: '查找设备', kind: '类型', lastSeen: '最近一次', never: '从未', state: '状态', all: '全部',
    more: '显示更多', old: '读数存疑或过时', none: '没有这样的设备。' },
  coverage: { title: '值守', gaps: '未来七天的空缺', noGaps: '未来七天每一格都有人负责。', covered: '由上级代管', nobody: '无人负责', from: '从', until: '到', cell: '网格', training: '培训即将到期', noTraining: '没有人的培训在 30 天内到期。', until_: '有效到',
    away: '请假与顶班', noAway: '没有人请假。', standIn: '顶班', noStandIn: '无人顶班', leftOut: '另有', gapsUnit: '处空缺', answered: '有人负责的网格', onlyNobody: '只看无人负责的' },
};
const en: Like<typeof zh> = {
  hydrants: { title: 'Hydrant pressure', lead: 'Below 0.14 MPa is low (GB 50974-2014 7.2.8); below 0.10 MPa there is hardly any water.', none: 'No hydrants are registered yet.', trend: 'recently', only: 'Only what is not good', seen: 'last heard', empty: 'Every hydrant is good.' },
  charts: { title: 'Charts', add: 'Add a line', device: 'Device', metric: 'Quantity', range: 'Span', h1: '1 hour', h6: '6 hours', h24: '24 hours', d7: '7 days', d30: '30 days', live: 'Follow live', csv: 'Export CSV', png: 'Export PNG', remove: 'Remove',
    none: 'Choose a device and a quantity; the lines appear here, six at most.', empty: 'There are no values in this span.', hint: 'Drag to zoom, double click for all.', time: 'time', reload: 'Read again' },
  health: { title: 'Devices', values: 'Newest values', battery: 'Battery low', signal: 'Weak signal', silent: 'Silent', fine: 'Heard', unknown: 'Not watched', filter: 'Find a device', kind: 'Kind', lastSeen: 'Last heard', never: 'never', state: 'State', all: 'All',
    more: 'Show more', old: 'Doubtful or old values', none: 'There is no such device.' },
  coverage: { title: 'On duty', gaps: 'Gaps of the week ahead', noGaps: 'Every cell has somebody for the week ahead.', covered: 'covered from above by', nobody: 'nobody answers', from: 'From', until: 'Until', cell: 'Cell', training: 'Training that runs out',
    noTraining: 'No training ends within 30 days.', until_: 'until', away: 'Away, and who stands in', noAway: 'Nobody is away.', standIn: 'stands in', noStandIn: 'nobody stands in', leftOut: 'and', gapsUnit: 'more gaps', answered: 'Cells with somebody',
    onlyNobody: 'Only where nobody answers' },
};
import { speech, type Like } from '../lib/words.svelte';
export const words = (): typeof zh => speech.pick(zh, en as typeof zh);
