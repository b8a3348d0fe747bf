// Which part of the sheet is on the screen: its middle in metres, and pixels for a metre. Pure.
import type { Box } from './scene';

export interface View { x: number; y: number; scale: number }
export interface Size { width: number; height: number }

/** Room for what lies over the map, in rems: find and layers, the buttons at the right. */
export const CLOSEST = 12;
/** From here on buildings have their names and can be gone into. */
export const HOUSES = 1.6;
const SIDE_REM = 4, TOP_REM = 5.5;

export function whole(box: Box, { width, height }: Size, rem: number): View {
  const across = Math.max(box.east - box.west, 1), down = Math.max(box.south - box.north, 1);
  const scale = Math.min(Math.max(width - 2 * SIDE_REM * rem, width / 2, 50) / across, Math.max(height - 2 * TOP_REM * rem, height / 2, 50) / down);
  return { x: (box.west + box.east) / 2, y: (box.north + box.south) / 2, scale: Math.min(scale, CLOSEST) };
}

/** The point under the pointer stays under it. */
export function zoomed(view: View, factor: number, at: { x: number; y: number }, size: Size, farthest: number): View {
  const scale = Math.min(Math.max(view.scale * factor, farthest), CLOSEST);
  const [x, y] = toSheet(view, at.x, at.y, size);
  return { x: x - (at.x - size.width / 2) / scale, y: y - (at.y - size.height / 2) / scale, scale };
}

export const moved = (view: View, dx: number, dy: number): View => ({ ...view, x: view.x - dx / view.scale, y: view.y - dy / view.scale });

export const toSheet = (view: View, x: number, y: number, { width, height }: Size): [number, number] =>
  [view.x + (x - width / 2) / view.scale, view.y + (y - height / 2) / view.scale];

export const toScreen = (view: View, x: number, y: number, { width, height }: Size): [number, number] =>
  [(x - view.x) * view.scale + width / 2, (y - view.y) * view.scale + height / 2];

/** The middle may not leave the sheet, or nobody finds the way back. */
export const kept = (view: View, box: Box): View =>
  ({ ...view, x: Math.min(Math.max(view.x, box.west), box.east), y: Math.min(Math.max(view.y, box.north), box.south) });
