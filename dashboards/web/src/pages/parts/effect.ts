// Words for what other rules would have done. English must have what Chinese has, or the build fails.
import { speech, type Like } from '../../lib/words.svelte';

const zh = {
  fires: '有', firesMissed: '次火警会漏报！', firesLater: '次火警会报晚！', alarms: '报警', same: '相同', gone: '不再报警', come: '新增', later: '推迟', sooner: '提前', realGone: '其中真实', wolfGone: '无事', which: '逐条查看',
  worth: { real: '真实', missed: '报晚或漏报', false: '误报', nuisance: '有原因但不危险', test: '测试', fault: '设备故障', unsaid: '未评定' } as Record<string, string>,
};
const en: Like<typeof zh> = {
  fires: '', firesMissed: 'fires would be missed!', firesLater: 'fires would be told later!', alarms: 'Alarms', same: 'the same', gone: 'gone', come: 'new', later: 'later', sooner: 'sooner', realGone: 'real', wolfGone: 'for nothing', which: 'Which ones',
  worth: { real: 'real', missed: 'late or missed', false: 'false', nuisance: 'nuisance', test: 'test', fault: 'broken device', unsaid: 'not judged' },
};
export const effectWords = (): typeof zh => speech.pick(zh, en as typeof zh);
