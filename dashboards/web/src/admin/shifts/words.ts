// Words of the roster. English must have what Chinese has, or the build fails.
import { speech, type Like } from '../../lib/words.svelte';

const zh = {
  title: '排班', lead: '把人拖到网格和时间上；或先点人，再点网格那一行的“安排”。拖动已有的班次可以复制到别的网格。', people: '人员', find: '查找人员', findCell: '查找网格', previous: '上一周', next: '下一周', thisWeek: '本周', put: '安排', nobodyPicked: '先选一个人。', 
  vacant: '无人负责', covered: '由上级代管', away: '请假', standsIn: '顶班', noStandIn: '无人顶班', more: '个网格未显示，请查找。', days: ['一', '二', '三', '四', '五', '六', '日'], role: '职责', on: '哪几天', allDay: '全天', only: '只在这一周', from: '从', save: '安排', end: '结束这个班次', whole: '该班次的时间',
  always: '这个人在这个网格的同一职责已经是全天。', legend: '图例', none: '没有网格。',
};
const en: Like<typeof zh> = {
  title: 'Roster', lead: 'Drag somebody onto a cell and its hours; or choose a person first, then “Assign” in the row of a cell. A shift that is there can be dragged to another cell as a copy.', people: 'People', find: 'Find a person', findCell: 'Find a cell', previous: 'Week before', next: 'Week after', thisWeek: 'This week', put: 'Assign', nobodyPicked: 'Choose a person first.', 
  vacant: 'nobody', covered: 'covered from above', away: 'away', standsIn: 'stands in', noStandIn: 'nobody stands in', more: 'cells are not shown: find them.', days: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'], role: 'Role', on: 'Days', allDay: 'around the clock', only: 'Only in this week', from: 'From', save: 'Assign', end: 'End this shift', whole: 'Hours of this shift',
  always: 'This person has the same role in this cell around the clock already.', legend: 'Legend', none: 'There is no cell.',
};
export const words = (): typeof zh => speech.pick(zh, en as typeof zh);
