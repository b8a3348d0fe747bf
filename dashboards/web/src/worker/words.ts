// Words that only the worker's and the resident's pages use. A key that one language lacks fails the build.
import { speech } from '../lib/words.svelte';

const zh = {
  mine: '我的告警', others: '本片其他告警', none: '没有待处理的告警', hazard: '报隐患', patrol: '巡查', settings: '我', alarms: '告警', back: '返回',
  offline: '没有连接。做了什么都记在手机里，一有网络就发送。', asOf: '告警截至', waiting: '待发送', unsent: '条操作待发送', refusedTitle: '没有办成：', dismiss: '知道了', sent: '已发送', kept: '已记下，联网后发送', full: '待发送的太多了，请先找到网络。',
  acknowledge: '收到', on_the_way: '出发', on_site: '到场', resolve: '办结', doneBy: '已', whatWasIt: '是什么情况？', cause: '误报原因（知道的话）', note: '说明（可不填）', send: '提交', cancel: '取消', handOver: '移交上级', reason: '原因',
  reasons: ['超出我的权限', '人手不够', '需要部门处理', '我走不开'], photo: '拍照', voice: '语音', stopVoice: '停止并保存', recording: '正在录音…', attachments: '照片与语音', noCamera: '这台手机录不了音。', look: '查看',
  card: '去之前要知道的', route: '路线', me: '我', door: '门', hydrant: '消火栓', findMe: '显示我的位置', noPlace: '没有登记位置。', call119: '拨打 119', callHome: '打给住户', checklist: '要做的事', cardOffline: '联网后才能看到卡片。',
  kind: '是什么？', where: '哪里？', placeHint: '如：3栋2单元门口', cell: '网格', here: '按我的位置', photoTaken: '已拍照', reported: '已上报', report: '上报', resident: '居民上报，未核实', worker: '隐患',
  scan: '扫码', code: '牌上的编号', checkIn: '打卡', checkedIn: '已打卡', visits: '最近打卡', noScan: '这台手机不能在网页里扫码，请输入编号。', lastVisit: '上次', neverVisited: '还没有去过', metres: '米',
  push: '通知', pushOn: '这台手机会收到通知。', pushOff: '打开通知', pushNone: '这台手机的浏览器收不到网页通知。有告警时会通过这些方式找您：', pushDenied: '通知被关掉了，请在系统设置里允许。有告警时会通过这些方式找您：', pushStation: '本站没有开网页通知。有告警时会通过这些方式找您：', phone: '电话和短信', ios: 'iPhone：先用“分享 › 添加到主屏幕”，再从主屏幕打开。', install: '装到主屏幕', position: '值班时告诉站里我在哪里', positionHint: '只留最新的一处，15 分钟后忘掉；不值班时不记。', logOut: '退出登录', language: 'English', appearance: '外观', night: '夜间自动变暗', light: '浅色', dark: '深色',
  hazards: { blocked_fire_lane: '消防车通道堵塞', blocked_exit: '疏散通道堵塞', ebike_indoors: '电动车进楼、飞线充电', gas_smell: '燃气异味', bad_wiring: '私拉电线', combustibles: '可燃物堆积', broken_fire_equipment: '消防设施损坏', hydrant: '消火栓损坏、圈占', other: '其他' },
  residentTitle: '向网格员反映隐患', fireFirst: '看到火或浓烟？先撤离，马上拨打 119。', thanks: '谢谢，网格员已收到。', reference: '编号', again: '再报一件', badCode: '这个二维码已经失效。', detail: '补充（可不填）', anonymous: '不用登录，不记录您的姓名和电话。',
};
type Words = typeof zh;
const en: Words = {
  mine: 'My alarms', others: 'Others in my cells', none: 'Nothing to do', hazard: 'Hazard', patrol: 'Patrol', settings: 'Me', alarms: 'Alarms', back: 'Back',
  offline: 'No connection. What you do is kept in the phone and sent as soon as there is one.', asOf: 'Alarms as of', waiting: 'waiting', unsent: 'waiting to be sent', refusedTitle: 'Not done:', dismiss: 'I see', sent: 'Sent', kept: 'Noted; sent when there is a network', full: 'Too much is waiting: find a network first.',
  acknowledge: 'Got it', on_the_way: 'On my way', on_site: 'Arrived', resolve: 'Done', doneBy: 'done', whatWasIt: 'What was it?', cause: 'Why it was wrong, if known', note: 'Note (may be left out)', send: 'Send', cancel: 'Cancel', handOver: 'Hand over up', reason: 'Reason',
  reasons: ['Beyond my powers', 'Too few people', 'A department must do it', 'I cannot leave'], photo: 'Photo', voice: 'Voice note', stopVoice: 'Stop and keep', recording: 'Recording…', attachments: 'Photos and voice', noCamera: 'This phone cannot record.', look: 'Show',
  card: 'Before you go', route: 'The way', me: 'me', door: 'door', hydrant: 'hydrant', findMe: 'Show where I am', noPlace: 'No position is on record.', call119: 'Call 119', callHome: 'Call who lives there', checklist: 'To do', cardOffline: 'The card is shown when there is a connection.',
  kind: 'What is it?', where: 'Where?', placeHint: 'such as: door of house 3', cell: 'Cell', here: 'Where I am', photoTaken: 'Photo taken', reported: 'Reported', report: 'Report', resident: 'Reported by a resident, not checked', worker: 'Hazard',
  scan: 'Scan', code: 'Code on the board', checkIn: 'Check in', checkedIn: 'Checked in', visits: 'Latest visits', noScan: 'This phone cannot scan in a page: type the code.', lastVisit: 'last', neverVisited: 'never visited', metres: 'm',
  push: 'Notifications', pushOn: 'This phone gets notifications.', pushOff: 'Turn notifications on', pushNone: 'The browser of this phone has no push. An alarm reaches you by:', pushDenied: 'Notifications are off: allow them in the system. An alarm reaches you by:', pushStation: 'This station pushes to no browsers. An alarm reaches you by:', phone: 'call and SMS', ios: 'iPhone: first “Share › Add to Home Screen”, then open it from there.', install: 'Install', position: 'Tell the station where I am while on duty', positionHint: 'Only the newest place, forgotten after 15 minutes; never off duty.', logOut: 'Log out', language: '中文', appearance: 'Look', night: 'Dark at night', light: 'Light', dark: 'Dark',
  hazards: { blocked_fire_lane: 'Fire lane blocked', blocked_exit: 'Exit blocked', ebike_indoors: 'E-bike indoors', gas_smell: 'Smell of gas', bad_wiring: 'Bad wiring', combustibles: 'Things that burn', broken_fire_equipment: 'Broken fire equipment', hydrant: 'Hydrant broken or blocked', other: 'Other' },
  residentTitle: 'Report a hazard to your grid worker', fireFirst: 'Fire or smoke? Get out first, then call 119 at once.', thanks: 'Thank you. Your grid worker has it.', reference: 'Reference', again: 'Report another', badCode: 'This code is not valid any more.', detail: 'More (may be left out)', anonymous: 'No log-in; neither your name nor your number is kept.',
};
export const w = (): Words => (speech.language === 'zh' ? zh : en);
