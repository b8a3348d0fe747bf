// Words for splitting and putting together cells. English must have what Chinese has, or the build fails.
import { speech, type Like } from '../../lib/words.svelte';

const zh = {
  split: '拆分', merge: '合并', splitTitle: '拆分网格', mergeTitle: '合并网格', splitLead: '拖动两个点，让线穿过网格。箭头右侧（深色）成为新网格；设备按位置、住户按门牌、人员一起过去。', mergeLead: '选择要并入本网格的相邻网格。它们的编号停用但仍可查到；设备、住户、人员和队伍并入本网格。',
  code: '新网格编号', name: '新网格名称', others: '并入', noOthers: '没有同一上级、同一方案的其他网格。', end: '线的端点', 
};
const en: Like<typeof zh> = {
  split: 'Split', merge: 'Put together', splitTitle: 'Split the cell', mergeTitle: 'Put cells together', splitLead: 'Drag the two dots so that the line crosses the cell. What lies to the right of the arrow (dark) becomes the new cell, with the devices that stand there, the doors behind them, and its people.', mergeLead: 'Choose the cells that become part of this one. Their codes go out of service and stay known; devices, doors, people and teams follow.',
  code: 'Code of the new cell', name: 'Name of the new cell', others: 'To be taken in', noOthers: 'No other cell has the same parent and scheme.', end: 'End of the line', 
};
export const words = (): typeof zh => speech.pick(zh, en as typeof zh);
