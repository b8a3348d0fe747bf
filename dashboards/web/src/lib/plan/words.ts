// Words for floor plans. English must have what Chinese has, or the build fails.
import { speech, type Like } from '../words.svelte';

const zh = {
  plan: '平面图', ground: '底图', gone: '平面图已撤下，或本账号不可查看。', noPlan: '这一层还没有平面图。', addPlan: '上传平面图', unplaced: '本层尚未标到图上', onPlan: '在平面图上看', larger: '放大', smaller: '缩小', here: '在这里',
  floors: '楼层', noFloor: '未写楼层', toMap: '回到地图', keys: '上下键换楼层，加减键缩放，0 看全图，Esc 回到地图', openBuilding: '看楼层', alarm: '看报警', chart: '曲线', parts: '同层各图',
  lead: '一层楼一张图，设备按位置标在图上；也可以放一张小区鸟瞰图作地图底图。只收 PNG、JPEG、WebP，不超过 4 MB。', none: '还没有平面图。', pick: '从左边选一张图，或新增一张。', new: '新增一张图', code: '编号', cell: '网格', kind: '画的是', aFloor: '一层楼', theGround: '小区地面', building: '楼栋（与设备位置开头相同）', floor: '楼层（地下为负）',
  name: '这一层的哪一部分', file: '图片', corners: '把图对准网格：拖动三个角点，或用方向键微调。', corner: ['左上角', '右上角', '左下角'], save: '保存', saved: '已保存。', waiting: '正在生效……', remove: '撤下这张图', removeSure: '图上的设备位置也会一起删除。确定吗？', mayNot: '本账号可以查看平面图，不能修改。',
  place: '标设备：点下面的设备放到图上，再拖到位置；方向键微调，Delete 取下。', all: '都已标上。', search: '其他设备', changed: '处改动未保存', undo: '不保存', onIt: '已在图上', size: '像素',
};
const en: Like<typeof zh> = {
  plan: 'Floor plan', ground: 'Picture', gone: 'The plan is gone, or this account may not see it.', noPlan: 'There is no plan of this floor yet.', addPlan: 'Add a plan', unplaced: 'On this floor, not on the plan yet', onPlan: 'On the floor plan', larger: 'Larger', smaller: 'Smaller', here: 'here',
  floors: 'Floors', noFloor: 'floor unknown', toMap: 'Back to the map', keys: 'Up and down change the floor, plus and minus zoom, 0 shows all, Esc goes back to the map', openBuilding: 'See its floors', alarm: 'See the alarm', chart: 'Chart', parts: 'Plans of this floor',
  lead: 'One picture a floor, with the devices where they hang; or a picture of the neighbourhood from above, to lie under the map. PNG, JPEG or WebP, 4 MB at the most.', none: 'There are no plans yet.', pick: 'Choose a plan, or add one.', new: 'Add a plan', code: 'Code', cell: 'Cell', kind: 'It shows', aFloor: 'a floor', theGround: 'the ground', building: 'Building (as the places of its devices begin)', floor: 'Floor (below ground: negative)',
  name: 'Which part of the floor', file: 'Picture', corners: 'Lay the picture over the cells: drag its three corners, or move them by the arrow keys.', corner: ['Upper left corner', 'Upper right corner', 'Lower left corner'], save: 'Save', saved: 'Stored.', waiting: 'Coming into force…', remove: 'Take the plan away', removeSure: 'The places of the devices on it go, too. Sure?', mayNot: 'This account may look at plans and not change them.',
  place: 'Press a device below to put it on the plan, then drag it to its place; arrow keys move it, Delete takes it off.', all: 'All of them are on the plan.', search: 'Other devices', changed: 'not saved yet', undo: 'Do not save', onIt: 'on the plan', size: 'pixels',
};
export const words = (): Like<typeof zh> => speech.pick<Like<typeof zh>>(zh, en);

/** `5 层`, `地下 1 层`; `5F`, `B1`. */
export const floorName = (floor: number | null): string =>
  floor === null ? words().noFloor : floor < 0 ? speech.pick(`地下 ${-floor} 层`, `B${-floor}`) : speech.pick(`${floor} 层`, `${floor}F`);
