// Words of drills and roll-calls. English must have what Chinese has, or the build fails.
import { speech, type Like } from '../../lib/words.svelte';

const zh = {
  title: '演练与点名', lead: '演练走完整个升级阶梯，处处标明“演练”，不计入统计；真的报警会立即结束它。点名问在岗的人在不在，不答的向上找。', drill: '开始演练', rollCall: '点名', cell: '网格', kind: '演练哪一类', note: '说明（可不填）', noteHint: '如：消防宣传月，3栋5楼着火', begin: '开始', call: '开始点名', whole: '本格及下级在岗的人', sure: '会真的通知所有人，并标明是演练。确定开始吗？', sureCall: '会真的通知在岗的人。确定点名吗？',
  drills: '历次演练', calls: '历次点名', practice: '最近一年，每人', drillsTaken: '演练：接警 / 被通知', callsTaken: '点名：答到 / 被点', answeredAfter: '答到用时', nobodyYet: '最近一年没有人参加过演练或点名。', cut: '次数太多，只统计了较新的部分。', none: '还没有演练过。', noCalls: '还没有点过名。', person: '人员', called: '通知时间', acknowledged: '接警用时', arrived: '到场用时', never: '没有', first: '首个接警', there: '首个到场', running: '进行中', over: '已结束', channels: '渠道', answered: '已答到',
  came: { waiting: '等待回答', answered: '已答到', answered_by_another: '别人代答', unanswered: '无人应答' } as Record<string, string>, by: '发起人',
};
const en: Like<typeof zh> = {
  title: 'Drills and roll-calls', lead: 'A drill climbs the whole ladder and says everywhere that it is one; it counts in no figure, and a real alarm ends it. A roll-call asks whether those on duty are there; who does not answer is looked for up the ladder.', drill: 'Begin a drill', rollCall: 'Call the roll', cell: 'Cell', kind: 'Of which class', note: 'Note (may be empty)', noteHint: 'such as: fire on the 5th floor of building 3', begin: 'Begin', call: 'Call', whole: 'those on duty here and below', sure: 'Everybody is really called, as for a drill. Begin?', sureCall: 'Those on duty are really called. Go on?',
  drills: 'Drills', calls: 'Roll-calls', practice: 'Each person, over the last year', drillsTaken: 'Drills: acknowledged / called', callsTaken: 'Roll-calls: answered / asked', answeredAfter: 'Answered after', nobodyYet: 'Nobody took part in a drill or a roll-call in the last year.', cut: 'There were more than are looked at: the oldest are left out.', none: 'There was no drill yet.', noCalls: 'There was no roll-call yet.', person: 'Person', called: 'Called', acknowledged: 'Acknowledged after', arrived: 'Arrived after', never: 'never', first: 'first acknowledged', there: 'first on site', running: 'running', over: 'over', channels: 'Channels', answered: 'answered',
  came: { waiting: 'waiting', answered: 'answered', answered_by_another: 'another answered', unanswered: 'nobody answered' }, by: 'by',
};
export const words = (): typeof zh => speech.pick(zh, en as typeof zh);
