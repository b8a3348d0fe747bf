// Drawing the map on two canvases: what stands still (cells, names, devices), redrawn when it or the scale changes, and what is alive (alarms, people, the
// chosen cell), redrawn with every frame that needs it. Colours come from the page's tokens.
import type { Device, Mark, SignalClass } from '../../lib/types';
import { CLASSES } from '../../lib/alarms';
import type { Ground, House, Outline, Spot, Trouble } from './scene';
import { HOUSES, toScreen, type Size, type View } from './view';

export type Layer = 'ground' | 'devices' | 'hydrants' | 'cameras' | 'workers' | 'names';
export interface Worker { id: string; name: string; x: number; y: number; old: boolean }

/** A picture of the ground; its corners on the sheet: upper left, upper right, lower left. */
export interface Backdrop { image: ImageBitmap; corners: [[number, number], [number, number], [number, number]] }

export interface Palette {
  ground: string; card: string; ink: string; faint: string; cell: string; cellLine: string; communityLine: string; label: string; water: string; accent: string; wrong: string; good: string;
  classes: Record<SignalClass, { fill: string; on: string; pattern: CanvasPattern | string }>;
  rem: number;
  /** A pixel of a screen of 1080 lines: lines grow with the letters. */
  px: number;
}

const CLASS_NAMES: SignalClass[] = ['fire', 'supervisory', 'trouble', 'disabled', 'test'];

export function palette(context: CanvasRenderingContext2D): Palette {
  const style = getComputedStyle(document.documentElement), of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const rem = parseFloat(style.fontSize);
  const classes = Object.fromEntries(CLASS_NAMES.map((name) => {
    const fill = of(name), on = of(`on-${name}`);
    return [name, { fill, on, pattern: context.createPattern(hatch(name, fill, on, rem), 'repeat') ?? fill }];
  })) as Palette['classes'];
  return { ground: of('ground'), card: of('card'), ink: of('ink'), faint: of('faint'), cell: of('cell'), cellLine: of('cell-line'), communityLine: of('community-line'), label: of('label'),
    water: of('water'), accent: of('accent'), wrong: of('wrong'), good: of('good'), classes, rem, px: rem / 17 };
}

/** Whoever cannot tell the colours apart sees the pattern: fire is full, supervisory slanted, trouble dotted, disabled lying, test standing. */
function hatch(name: SignalClass, fill: string, on: string, rem: number): HTMLCanvasElement {
  const tile = document.createElement('canvas'), side = Math.round(rem * 0.6);
  tile.width = tile.height = side;
  const context = tile.getContext('2d')!;
  context.fillStyle = fill;
  context.fillRect(0, 0, side, side);
  context.globalAlpha = 0.3;
  context.strokeStyle = context.fillStyle = on;
  context.lineWidth = side / 5;
  context.beginPath();
  if (name === 'supervisory') {
    for (const from of [-side, 0, side]) {
      context.moveTo(from - 2, side + 2);
      context.lineTo(from + side + 2, -2);
    }
  } else if (name === 'disabled') {
    context.moveTo(0, side / 2);
    context.lineTo(side, side / 2);
  } else if (name === 'test') {
    context.moveTo(side / 2, 0);
    context.lineTo(side / 2, side);
  }
  context.stroke();
  if (name === 'trouble') {
    context.beginPath();
    context.arc(side / 2, side / 2, side / 5, 0, 7);
    context.fill();
  }
  return tile;
}

/** Points closer than this to the last on the screen are left out: a thousand cells far away need few lines. */
const FINE_PX = 1.2;

function trace(context: CanvasRenderingContext2D, one: Outline, view: View, size: Size): void {
  const dx = size.width / 2 - view.x * view.scale, dy = size.height / 2 - view.y * view.scale;
  for (const ring of one.rings) {
    let lastX = NaN, lastY = NaN;
    for (let at = 0; at < ring.length; at += 2) {
      const x = ring[at]! * view.scale + dx, y = ring[at + 1]! * view.scale + dy;
      if (at === 0) context.moveTo(x, y);
      else if (Math.abs(x - lastX) < FINE_PX && Math.abs(y - lastY) < FINE_PX) continue;
      else context.lineTo(x, y);
      lastX = x;
      lastY = y;
    }
    context.closePath();
  }
}

function onScreen({ box }: Outline, view: View, { width, height }: Size): boolean {
  const halfWidth = width / 2 / view.scale, halfHeight = height / 2 / view.scale;
  return box.east > view.x - halfWidth && box.west < view.x + halfWidth && box.south > view.y - halfHeight && box.north < view.y + halfHeight;
}

export function paintStill(context: CanvasRenderingContext2D, ground: Ground, view: View, size: Size, layers: ReadonlySet<Layer>, colours: Palette, backdrops: readonly Backdrop[], dark: boolean): void {
  context.clearRect(0, 0, size.width, size.height);
  const pictured = layers.has('ground') && backdrops.length > 0;
  if (pictured) for (const one of backdrops) paintBackdrop(context, one, view, size, dark);
  const seen = ground.outlines.filter((one) => onScreen(one, view, size));
  const leaves = seen.filter((one) => one.leaf);
  context.lineJoin = 'round';
  context.beginPath();
  for (const one of leaves) trace(context, one, view, size);
  context.fillStyle = colours.cell;
  context.globalAlpha = pictured ? 0.3 : 1;
  context.fill('evenodd');
  context.globalAlpha = 1;
  context.strokeStyle = pictured ? colours.communityLine : colours.cellLine;
  context.lineWidth = colours.px;
  context.stroke();
  context.strokeStyle = colours.communityLine;
  const deepest = Math.max(...ground.outlines.map((one) => one.depth), 1);
  for (const one of seen) {
    if (one.leaf) continue;
    context.beginPath();
    trace(context, one, view, size);
    context.lineWidth = Math.max(1.5, (deepest - one.depth) * 1.25) * colours.px;
    context.stroke();
  }
  paintSpots(context, ground.spots, view, size, layers, colours);
  if (layers.has('names')) paintNames(context, seen, view, size, colours);
}

/** Stretched between its corners, so that a picture that was taken askew lies straight. White paper is dimmed in the dark. */
function paintBackdrop(context: CanvasRenderingContext2D, { image, corners }: Backdrop, view: View, size: Size, dark: boolean): void {
  const [[x, y], right, down] = corners.map((corner) => toScreen(view, ...corner, size)) as [[number, number], [number, number], [number, number]];
  context.save();
  context.globalAlpha = dark ? 0.45 : 0.9;
  context.transform((right[0] - x) / image.width, (right[1] - y) / image.width, (down[0] - x) / image.height, (down[1] - y) / image.height, x, y);
  context.drawImage(image, 0, 0);
  context.restore();
}

export function layerOf(kind: string): Layer {
  if (kind === 'hydrant' || kind === 'water_tank' || kind === 'pump') return 'hydrants';
  return kind === 'camera' || kind === 'access_camera' ? 'cameras' : 'devices';
}

function paintSpots(context: CanvasRenderingContext2D, spots: Spot[], view: View, size: Size, layers: ReadonlySet<Layer>, colours: Palette): void {
  const near = view.scale > 0.6, radius = near ? Math.min(colours.rem * 0.22, (1.2 + view.scale * 1.4) * colours.px) : 1.2 * colours.px;
  const groups: Record<'devices' | 'cameras' | 'hydrants', [number, number][]> = { devices: [], cameras: [], hydrants: [] };
  const silent: [number, number][] = [];
  for (const { device, x, y } of spots) {
    const layer = layerOf(device.kind);
    if (!layers.has(layer)) continue;
    const at = toScreen(view, x, y, size);
    if (at[0] < -9 || at[1] < -9 || at[0] > size.width + 9 || at[1] > size.height + 9) continue;
    if (device.online === false) silent.push(at);
    else groups[layer as keyof typeof groups].push(at);
  }
  const dots = (points: [number, number][], draw: (x: number, y: number) => void): void => {
    context.beginPath();
    for (const [x, y] of points) draw(x, y);
  };
  // A detector is a dot, a camera a square, a hydrant a drop-blue diamond, a silent one a ring.
  dots(groups.devices, (x, y) => (radius < 2 ? context.rect(x - radius, y - radius, radius * 2, radius * 2) : (context.moveTo(x + radius, y), context.arc(x, y, radius, 0, 7))));
  context.fillStyle = colours.faint;
  context.fill();
  dots(groups.cameras, (x, y) => context.rect(x - radius * 1.1, y - radius * 1.1, radius * 2.2, radius * 2.2));
  context.fillStyle = colours.label;
  context.fill();
  const wide = radius * 1.7;
  dots(groups.hydrants, (x, y) => {
    context.moveTo(x, y - wide);
    context.lineTo(x + wide, y);
    context.lineTo(x, y + wide);
    context.lineTo(x - wide, y);
    context.closePath();
  });
  context.fillStyle = colours.water;
  context.fill();
  dots(silent, (x, y) => (context.moveTo(x + radius * 1.2, y), context.arc(x, y, radius * 1.2, 0, 7)));
  context.fillStyle = colours.ground;
  context.fill();
  context.strokeStyle = colours.faint;
  context.lineWidth = 1.2 * colours.px;
  context.stroke();
}

/** The names of cells that an alarm has painted over. */
function paintCovered(context: CanvasRenderingContext2D, wrong: Trouble[], view: View, size: Size, colours: Palette): void {
  context.font = `650 ${colours.rem * 0.85}px system-ui, sans-serif`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  for (const { outline, class: grave } of wrong) {
    if (!outline.leaf || (outline.box.east - outline.box.west) * view.scale * 0.92 < widthOf(outline.cell.name) * colours.rem * 0.85) continue;
    const [x, y] = toScreen(view, ...outline.centre, size);
    context.lineWidth = 4 * colours.px;
    context.strokeStyle = colours.classes[grave].fill;
    context.strokeText(outline.cell.name, x, y);
    context.fillStyle = colours.classes[grave].on;
    context.fillText(outline.cell.name, x, y);
  }
}

function paintNames(context: CanvasRenderingContext2D, seen: Outline[], view: View, size: Size, colours: Palette): void {
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  const write = (text: string, x: number, y: number, font: number, weight: number): void => {
    context.font = `${weight} ${font}px system-ui, sans-serif`;
    context.lineWidth = font / 4;
    context.strokeStyle = colours.cell;
    context.strokeText(text, x, y);
    context.fillStyle = colours.label;
    context.fillText(text, x, y);
  };
  const fits = (one: Outline, text: string, font: number): boolean => {
    const across = (one.box.east - one.box.west) * view.scale, down = (one.box.south - one.box.north) * view.scale;
    return widthOf(text) * font < across * 0.92 && font * 1.6 < down;
  };
  let written = 0;
  for (const one of seen) {
    if (!one.leaf || written > 400) continue;
    const font = colours.rem * 0.8;
    if (!fits(one, one.cell.name, font)) continue;
    const [x, y] = toScreen(view, ...one.centre, size);
    write(one.cell.name, x, y, font, 500);
    written += 1;
  }
  if (written > 0) return;
  // Too far for the cells: the ones above them, those that fit.
  const depth = Math.max(0, ...seen.filter((one) => !one.leaf).map((one) => one.depth));
  for (let level = depth; level > 0; level -= 1) {
    const these = seen.filter((one) => !one.leaf && one.depth === level && fits(one, one.cell.name, colours.rem * 0.9));
    for (const one of these) write(one.cell.name, ...toScreen(view, ...one.centre, size), colours.rem * 0.9, 600);
    if (these.length > 0) return;
  }
}

/** About, in widths of a Chinese character. */
const widthOf = (text: string): number => [...text].reduce((sum, letter) => sum + (letter.charCodeAt(0) > 0x2e80 ? 1 : 0.56), 0);

export interface Alive {
  wrong: Trouble[];
  alarmed: ReadonlyMap<string, SignalClass>;
  chosen: string | null;
  /** The cell or device that was looked for, or that belongs to the alarm on the screen. */
  pointed: { x: number; y: number } | null;
  workers: Worker[];
  pressure: (device: Device) => { text: string; mark: Mark } | null;
  letters: Record<SignalClass, string>;
}

/** `beat` goes from 0 to 1 and back while somebody must answer. */
export function paintAlive(context: CanvasRenderingContext2D, ground: Ground, view: View, size: Size, alive: Alive, layers: ReadonlySet<Layer>, colours: Palette, beat: number): void {
  context.clearRect(0, 0, size.width, size.height);
  context.lineJoin = 'round';
  for (const trouble of alive.wrong) {
    if (!onScreen(trouble.outline, view, size)) continue;
    const { fill, pattern } = colours.classes[trouble.class];
    context.beginPath();
    trace(context, trouble.outline, view, size);
    context.globalAlpha = trouble.outline.leaf ? (trouble.class === 'fire' && trouble.unanswered ? 1 - beat * 0.45 : 0.92) : 0.25;
    context.fillStyle = pattern;
    context.fill('evenodd');
    context.globalAlpha = 1;
    context.strokeStyle = fill;
    context.lineWidth = (trouble.outline.leaf ? 2 : 3) * colours.px;
    context.stroke();
  }
  const chosen = alive.chosen === null ? undefined : ground.byCode.get(alive.chosen);
  if (chosen) {
    context.beginPath();
    trace(context, chosen, view, size);
    context.strokeStyle = colours.accent;
    context.lineWidth = 4 * colours.px;
    context.stroke();
  }
  for (const { device, x, y } of ground.spots) {
    const grave = alive.alarmed.get(device.id);
    if (!grave || view.scale < 0.25) continue;
    const at = toScreen(view, x, y, size);
    if (at[0] < -20 || at[1] < -20 || at[0] > size.width + 20 || at[1] > size.height + 20) continue;
    context.beginPath();
    context.arc(at[0], at[1], colours.rem * 0.42, 0, 7);
    context.fillStyle = colours.classes[grave].on;
    context.fill();
    context.strokeStyle = colours.classes[grave].fill;
    context.lineWidth = colours.rem * 0.2;
    context.stroke();
  }
  // Over the devices: red upon red they would eat the letters.
  if (layers.has('names')) paintCovered(context, alive.wrong, view, size, colours);
  if (layers.has('hydrants') && view.scale > 0.5) paintPressures(context, ground, view, size, alive, colours);
  if (layers.has('workers')) for (const worker of alive.workers) paintWorker(context, worker, view, size, colours);
  const [calm, burning] = view.scale > HOUSES ? sorted(ground.houses, alive.alarmed) : [[], []];
  for (const house of calm) paintHouse(context, house, null, view, size, alive, colours);
  for (const trouble of alive.wrong) paintPill(context, trouble, view, size, alive.letters, colours, beat);
  for (const [house, worst] of burning) paintHouse(context, house, worst, view, size, alive, colours);
  if (alive.pointed) {
    const [x, y] = toScreen(view, alive.pointed.x, alive.pointed.y, size);
    context.strokeStyle = colours.accent;
    context.lineWidth = 3 * colours.px;
    context.beginPath();
    context.arc(x, y, colours.rem, 0, 7);
    context.moveTo(x, y - colours.rem * 1.6);
    context.lineTo(x, y - colours.rem * 0.6);
    context.moveTo(x, y + colours.rem * 0.6);
    context.lineTo(x, y + colours.rem * 1.6);
    context.stroke();
  }
}

/** Where the sign of a building stands on the screen: half its width, its middle. */
export function signOf(house: House, view: View, size: Size, rem: number): { x: number; y: number; half: number; high: number } {
  const [x, y] = toScreen(view, house.x, house.y, size);
  return { x, y: y - rem * 1.4, half: (widthOf(house.name) * 0.8 + 1.1) * rem * 0.5, high: rem * 0.75 };
}

/** Those where all is well, and those with what is worst in them. */
function sorted(houses: House[], alarmed: Alive['alarmed']): [House[], [House, SignalClass][]] {
  const calm: House[] = [], wrong: [House, SignalClass][] = [];
  for (const house of houses) {
    const worst = CLASSES.find((one) => house.devices.some((id) => alarmed.get(id) === one));
    if (worst) wrong.push([house, worst]);
    else calm.push(house);
  }
  return [calm, wrong];
}

/** Its name in a box that can be pressed; what is wrong in it has its colour and its letter. */
function paintHouse(context: CanvasRenderingContext2D, house: House, worst: SignalClass | null, view: View, size: Size, alive: Alive, colours: Palette): void {
  const { x, y, half, high } = signOf(house, view, size, colours.rem);
  if (x < -half || y < -high || x > size.width + half || y > size.height + high) return;
  context.beginPath();
  context.roundRect(x - half, y - high, half * 2, high * 2, colours.rem * 0.25);
  context.fillStyle = worst ? colours.classes[worst].fill : colours.card;
  context.fill();
  context.strokeStyle = worst ? colours.card : colours.communityLine;
  context.lineWidth = 1.5 * colours.px;
  context.stroke();
  context.fillStyle = worst ? colours.classes[worst].on : colours.ink;
  context.font = `650 ${colours.rem * 0.8}px system-ui, sans-serif`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText(worst ? `${alive.letters[worst]} ${house.name}` : house.name, x, y, half * 2 - 4);
}

/** Class and count of a cell, the same size however far away: a fire in a cell of four pixels is seen. */
function paintPill(context: CanvasRenderingContext2D, trouble: Trouble, view: View, size: Size, letters: Record<SignalClass, string>, colours: Palette, beat: number): void {
  const [x, y] = toScreen(view, ...trouble.outline.centre, size), fire = trouble.class === 'fire';
  if (x < -60 || y < -60 || x > size.width + 60 || y > size.height + 60) return;
  const far = (trouble.outline.box.east - trouble.outline.box.west) * view.scale < colours.rem;
  if (far && !fire && !trouble.unanswered) return;
  const font = colours.rem * (fire ? 1.25 : 0.85), { fill, on } = colours.classes[trouble.class];
  const text = `${letters[trouble.class]}${trouble.count > 1 ? ` ${trouble.count}` : ''}`;
  context.font = `800 ${font}px system-ui, sans-serif`;
  const width = context.measureText(text).width + font * 0.8, height = font * 1.45, top = y - height / 2 + (far ? 0 : colours.rem * (fire ? 1.75 : 1.25));
  if (fire && trouble.unanswered) {
    context.beginPath();
    context.arc(x, top + height / 2, width * (0.6 + beat * 0.3), 0, 7);
    context.strokeStyle = fill;
    context.globalAlpha = 1 - beat * 0.7;
    context.lineWidth = 4 * colours.px;
    context.stroke();
    context.globalAlpha = 1;
  }
  context.beginPath();
  context.roundRect(x - width / 2, top, width, height, trouble.drill ? 0 : height / 2);
  context.fillStyle = fill;
  context.fill();
  context.setLineDash(trouble.drill ? [6, 4] : []);
  context.strokeStyle = trouble.unanswered ? on : colours.card;
  context.lineWidth = (trouble.unanswered ? 2.5 : 1.5) * colours.px;
  context.stroke();
  context.setLineDash([]);
  context.fillStyle = on;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText(text, x, top + height / 2 + font * 0.06);
}

function paintPressures(context: CanvasRenderingContext2D, ground: Ground, view: View, size: Size, { pressure }: Alive, colours: Palette): void {
  context.font = `600 ${colours.rem * 0.72}px system-ui, sans-serif`;
  context.textAlign = 'left';
  context.textBaseline = 'middle';
  for (const { device, x, y } of ground.spots) {
    const said = device.kind === 'hydrant' ? pressure(device) : null;
    if (!said) continue;
    const [left, top] = toScreen(view, x, y, size);
    if (left < -90 || top < -20 || left > size.width || top > size.height + 20) continue;
    context.lineWidth = 3.5 * colours.px;
    context.strokeStyle = colours.card;
    context.strokeText(said.text, left + 10 * colours.px, top);
    context.fillStyle = said.mark === 'good' ? colours.water : said.mark === 'low' || said.mark === 'very_low' ? colours.wrong : colours.faint;
    context.fillText(said.text, left + 10 * colours.px, top);
  }
}

function paintWorker(context: CanvasRenderingContext2D, worker: Worker, view: View, size: Size, colours: Palette): void {
  const [x, y] = toScreen(view, worker.x, worker.y, size), radius = colours.rem * 0.6;
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fillStyle = worker.old ? colours.faint : colours.accent;
  context.fill();
  context.strokeStyle = colours.card;
  context.lineWidth = 2 * colours.px;
  context.stroke();
  context.fillStyle = colours.card;
  context.font = `700 ${radius * 1.1}px system-ui, sans-serif`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText([...worker.name][0] ?? '·', x, y + 1);
  if (view.scale < 0.4) return;
  context.textAlign = 'left';
  context.font = `600 ${colours.rem * 0.75}px system-ui, sans-serif`;
  context.lineWidth = 3 * colours.px;
  context.strokeText(worker.name, x + radius + 4, y);
  context.fillStyle = colours.ink;
  context.fillText(worker.name, x + radius + 4, y);
}
