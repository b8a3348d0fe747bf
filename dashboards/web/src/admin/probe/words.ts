// Words of the Modbus probe. English must have what Chinese has, or the build fails.
import { speech, type Like } from '../../lib/words.svelte';

const zh = {
  title: 'Modbus 探测', lead: '现在就读一台设备的寄存器，在轮询的间隙里进行，不影响轮询。只读不写，记入审计。', bus: '总线', unit: '站号', table: '寄存器表', start: '起始地址（从 0 起）', count: '个数（最多 125）', expect: '表上的读数（可不填）', expectHint: '如 kPa 300..400', read: '读取', reading: '读取中……',
  none: '本站没有 Modbus 总线。在 station.toml 里用 [[modbus]] 配置。', tables: { holding: '保持寄存器', input: '输入寄存器', coils: '线圈', discrete_inputs: '离散输入' }, polled: '轮询中的站号', every: '毫秒一轮', took: '用时', made: '按配置解读', fieldsLeft: '配置里的其他量不在这次读的范围里。', notPolled: '这个站号没有配置，不在轮询中。',
  address: '地址', hex: '十六进制', registers: '寄存器', numbers: '两个寄存器以上的数按', candidates: '可能是表上读数的', proposal: '写进 station.toml', copy: '复制', copied: '已复制', noCandidate: '没有读数与表上的相符。换一个起始地址或表再试。', again: '再读一次', registered: '登记为', unregistered: '没有登记的设备',
};
const en: Like<typeof zh> = {
  title: 'Modbus probe', lead: 'Reads registers of a unit now, in a gap of the polling, which goes on. Reads only; in the audit log.', bus: 'Bus', unit: 'Unit', table: 'Table', start: 'First address (from 0)', count: 'How many (125 at most)', expect: 'What the gauge shows (may be empty)', expectHint: 'such as kPa 300..400', read: 'Read', reading: 'Reading…',
  none: 'This station has no Modbus bus. Add [[modbus]] to station.toml.', tables: { holding: 'holding registers', input: 'input registers', coils: 'coils', discrete_inputs: 'discrete inputs' }, polled: 'Units that are polled', every: 'ms a cycle', took: 'took', made: 'What its plan makes of it', fieldsLeft: 'Other fields of its plan were not all read.', notPolled: 'This unit is not in the plan and not polled.',
  address: 'Address', hex: 'hex', registers: 'Registers', numbers: 'Longer numbers as', candidates: 'May be what the gauge shows', proposal: 'For station.toml', copy: 'Copy', copied: 'Copied', noCandidate: 'No reading fits what the gauge shows. Try another address or table.', again: 'Read again', registered: 'is', unregistered: 'no registered device',
};
export const words = (): typeof zh => speech.pick(zh, en as typeof zh);
