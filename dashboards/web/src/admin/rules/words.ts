// Words of the rule editor. English must have what Chinese has, or the build fails.
import { speech, type Like } from '../../lib/words.svelte';

const zh = {
  edit: '修改规则……', title: '修改规则', lead: '先检查，再用过去几天的真实数据试算，看报警会有什么不同，然后才能保存。原文件会保留。', text: 'rules.toml 的内容', checking: '检查中……', sound: '✓ 没有错误', errors: '处错误', line: '第', lineEnd: '行', hints: '提醒', same: '和正在生效的一样。', changes: '改动',
  days: '试算最近', day: '天', preview: '试算', trying: '正在用历史数据试算……', replayed: '条消息和操作已重演', noJournal: '这段时间没有历史数据，无法比较。', unsure: '规则或名册在这段时间里改过，试算只能作参考。', changedSince: '试算之后又改过，请再试算一次。',
  save: '保存并生效', saved: '已保存，一秒内生效。', fires: '这些规则的火警会漏报或报晚。确实要保存，请逐个写出它们的名称：', revert: '恢复为正在生效的', back: '返回', failed: '试算没有成功：', first: '先试算，才能保存。', overtaken: '别人已经改过规则。您写的内容还在，请先复制，再读取现在的规则。', reread: '读取现在的规则（放弃我写的）',
};
const en: Like<typeof zh> = {
  edit: 'Change the rules…', title: 'Change the rules', lead: 'They are checked, then tried on what really happened in the last days, and only then saved. The file as it was is kept.', text: 'What rules.toml says', checking: 'Checking…', sound: '✓ nothing is wrong', errors: 'mistakes', line: 'line', lineEnd: '', hints: 'Worth a look', same: 'They are those in force.', changes: 'Changes',
  days: 'Try the last', day: 'days', preview: 'Try', trying: 'Being tried on the journal…', replayed: 'messages and deeds replayed', noJournal: 'The journal has nothing of that time: nothing to compare with.', unsure: 'Rules or registry changed within that time: take it as a hint.', changedSince: 'Changed since it was tried: try again.',
  save: 'Save and use', saved: 'Saved; in force within a second.', fires: 'Fires of these rules would be missed or told later. To save nevertheless, write the name of each:', revert: 'As in force', back: 'Back', failed: 'It could not be tried:', first: 'Try first, then save.', overtaken: 'Somebody else has changed the rules. What you wrote is still here: copy it, then read them as they are now.', reread: 'Read them anew (what I wrote is dropped)',
};
export const words = (): typeof zh => speech.pick(zh, en as typeof zh);
