// Draws the plans of the demo: three floors that nobody has built, and its neighbourhood from above. Needs Chromium and `make web`; the pictures are in the repository:
// run it after a change of this file, `node config/demo/plans/draw.mjs`. Which picture shows what is in plans.csv, what hangs where in pins.csv; run.sh puts both in.
import { readFileSync } from 'node:fs';
import { launch } from '../../../tests/web/browser.mjs';

const here = new URL('./', import.meta.url).pathname;
const WALL = '#3b4652', PAPER = '#fbfaf6', STYLE = "font-family: 'Noto Sans CJK SC', sans-serif";

const room = ([x, y, width, height, name, fill = PAPER]) =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${fill}" stroke="${WALL}" stroke-width="5"/><text x="${x + width / 2}" y="${y + height * 0.5 + 8}" text-anchor="middle" font-size="22" fill="#6b7480">${name}</text>`;
/** A gap in a wall and the swing of its door: `x, y` is the hinge, `dx, dy` where the wall goes on, `sx, sy` whereto it opens. */
const door = ([x, y, dx, dy, sx, sy]) =>
  `<line x1="${x}" y1="${y}" x2="${x + dx}" y2="${y + dy}" stroke="${PAPER}" stroke-width="8"/><path d="M${x + sx} ${y + sy}A${Math.abs(dx + dy)} ${Math.abs(dx + dy)} 0 0 ${(dx * sy - dy * sx) > 0 ? 0 : 1} ${x + dx} ${y + dy}M${x} ${y}L${x + sx} ${y + sy}" fill="none" stroke="${WALL}" stroke-width="2"/>`;
const stairs = (x, y, width, height) =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="#eceff2" stroke="${WALL}" stroke-width="5"/>` +
  Array.from({ length: 9 }, (_, at) => `<line x1="${x}" x2="${x + width}" y1="${y + (height * (at + 1)) / 10}" y2="${y + (height * (at + 1)) / 10}" stroke="${WALL}" stroke-width="1.5"/>`).join('');
const sheet = (width, height, title, inside) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" style="${STYLE}"><rect width="${width}" height="${height}" fill="#fff"/>${inside}<text x="40" y="${height - 22}" font-size="24" fill="${WALL}">${title}</text></svg>`;

/** Two staircases with two flats each, mirrored. */
function flats() {
  const unit = (left, flip, first) => {
    const at = (x, width) => (flip ? left + 560 - x - width : left + x);
    const rooms = [[0, 60, 190, 200, '卧室'], [0, 260, 190, 260, '客厅'], [0, 520, 190, 130, '阳台', '#eef5ea'], [190, 60, 120, 150, '厨房', '#f6efe3'], [190, 210, 120, 130, '卫生间', '#e8f0f5'], [190, 340, 120, 180, '卧室']];
    const doors = [[190, 300, 0, 45, -45, 0], [190, 140, 0, 45, 45, 0]];
    return rooms.map(([x, y, width, height, ...rest]) => room([at(x, width), y, width, height, ...rest])).join('') +
      doors.map(([x, y, dx, dy, sx, sy]) => door([flip ? left + 560 - x : left + x, y, dx, dy, flip ? -sx : sx, sy])).join('') +
      `<text x="${at(95, 0)}" y="110" text-anchor="middle" font-size="26" font-weight="700" fill="${WALL}">${first}</text>`;
  };
  const staircase = (x, name) => room([x, 210, 60, 310, '', '#f1f3f5']) + stairs(x, 60, 60, 150) + `<text x="${x + 30}" y="380" text-anchor="middle" font-size="20" fill="#6b7480" writing-mode="tb">${name}</text>`;
  return sheet(1420, 720, '听泉里 标准层（演示，非实有建筑）', unit(30, false, '01 室') + unit(140, true, '02 室') + staircase(340, '1 单元') + unit(720, false, '01 室') + unit(830, true, '02 室') + staircase(1030, '2 单元'));
}

function school() {
  const rooms = [[40, 60, 280, 240, '教室'], [320, 60, 280, 240, '教室'], [600, 60, 200, 240, '备餐间', '#f6efe3'], [800, 60, 360, 240, '食堂后厨', '#f6efe3'], [40, 300, 1120, 110, '走廊', '#f1f3f5'], [40, 410, 360, 220, '教室'], [400, 410, 160, 220, '卫生间', '#e8f0f5'], [700, 410, 460, 220, '餐厅']];
  const doors = [[260, 300, 45, 0, 0, -45], [540, 300, 45, 0, 0, -45], [680, 300, 45, 0, 0, -45], [1040, 300, 45, 0, 0, -45], [300, 410, 45, 0, 0, 45], [480, 410, 45, 0, 0, 45], [900, 410, 45, 0, 0, 45]];
  return sheet(1200, 700, '学林小学 1 号楼 二层（演示，非实有建筑）', rooms.map(room).join('') + stairs(560, 410, 140, 220) + doors.map(door).join(''));
}

function home() {
  const bed = (x, y) => room([x, y, 150, 200, '双人间']);
  const rooms = Array.from({ length: 7 }, (_, at) => bed(40 + at * 150, 60) + (at === 3 ? '' : bed(40 + at * 150, 370))).join('') + room([40, 260, 1050, 110, '走廊', '#f1f3f5']) + room([490, 370, 150, 200, '护理站', '#e8f0f5']) + stairs(1090, 260, 90, 110);
  const doors = Array.from({ length: 7 }, (_, at) => door([90 + at * 150, 260, 45, 0, 0, -45]) + door([90 + at * 150, 370, 45, 0, 0, 45])).join('');
  return sheet(1220, 640, '学林养老院 2 号楼 三层（演示，非实有建筑）', rooms + doors);
}

/** Its corners in degrees stand in plans.csv, too. */
const GROUND = { west: 118.9172, east: 118.932, north: 32.1041, south: 32.0954, width: 1680, height: 1164 };
function ground() {
  const lines = readFileSync(`${here}../devices.csv`, 'utf8').trim().split('\n').slice(1).map((line) => line.split(','));
  const at = (lon, lat) => [((lon - GROUND.west) / (GROUND.east - GROUND.west)) * GROUND.width, ((GROUND.north - lat) / (GROUND.north - GROUND.south)) * GROUND.height];
  const found = new Map();
  for (const [, , , , , place, lon, lat] of lines) {
    const name = /^(.*?\d+(?:栋|号楼))/.exec(place)?.[1];
    if (name && lon) found.set(name, [...(found.get(name) ?? []), at(Number(lon), Number(lat))]);
  }
  const houses = [...found].map(([name, points]) => {
    const x = points.reduce((sum, [px]) => sum + px, 0) / points.length, y = points.reduce((sum, [, py]) => sum + py, 0) / points.length;
    const [width, height] = name.includes('号楼') ? [92, 46] : [78, 30];
    return `<g><rect x="${x - width / 2 + 4}" y="${y - height / 2 + 5}" width="${width}" height="${height}" fill="#00000030"/><rect x="${x - width / 2}" y="${y - height / 2}" width="${width}" height="${height}" fill="#d9c7b0" stroke="#9b8a75" stroke-width="2"/><line x1="${x - width / 2}" x2="${x + width / 2}" y1="${y}" y2="${y}" stroke="#b8a68f" stroke-width="2"/></g>`;
  });
  const road = (path, width) => `<path d="${path}" fill="none" stroke="#c9ccd0" stroke-width="${width}" stroke-linecap="round"/><path d="${path}" fill="none" stroke="#fff" stroke-width="2" stroke-dasharray="14 12"/>`;
  let seed = 7;
  const chance = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const trees = Array.from({ length: 420 }, () => `<circle cx="${chance() * GROUND.width}" cy="${chance() * GROUND.height}" r="${5 + chance() * 7}" fill="${['#8db37c', '#7ba56d', '#9cc08a'][Math.floor(chance() * 3)]}"/>`).join('');
  const pond = '<path d="M1440 620q70-50 120 0t20 90q-60 50-120 10t-20-100z" fill="#a9cfe4" stroke="#86b5cf" stroke-width="3"/>';
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${GROUND.width}" height="${GROUND.height}"><rect width="${GROUND.width}" height="${GROUND.height}" fill="#cfe0c3"/>${trees}${pond}${road('M0 815Q500 800 900 812T1680 800', 34)}${road('M0 395Q420 420 840 380T1680 410', 34)}${road('M435 0V1164', 26)}${road('M800 0Q770 500 800 1164', 26)}${road('M1210 0Q1240 600 1205 1164', 26)}${houses.join('')}</svg>`;
}

const browser = await launch();
for (const [name, svg] of Object.entries({ flats: flats(), school: school(), home: home(), ground: ground() })) {
  const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(svg).map(Number), page = await browser.newPage({ viewport: { width, height } });
  await page.setContent(`<body style="margin:0">${svg}</body>`);
  await page.screenshot({ path: `${here}${name}.png` });
  await page.close();
}
await browser.close();
