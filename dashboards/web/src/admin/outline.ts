// A cell's outline while somebody changes it: on a flat sheet in metres, and back as GeoJSON. Pure.
import { Sheet } from '../board/map/scene';
import type { Cell } from '../lib/types';

export type Point = [number, number];
export const sheetOf = (cells: Cell[]): Sheet => {
  const first = cells.flatMap((cell) => cell.geometry?.coordinates[0]?.[0]?.[0] ?? [])[0] === undefined ? undefined : cells.find((cell) => cell.geometry)!.geometry!.coordinates[0]![0]![0]!;
  return new Sheet(first?.[0] ?? 118.8, first?.[1] ?? 32.06);
};

/** The outer ring without its last point, which is the first again. */
export function ringOf(cell: Cell | undefined, sheet: Sheet): Point[] {
  const ring = cell?.geometry?.coordinates[0]?.[0];
  return ring ? ring.slice(0, -1).map((point) => sheet.place(point)) : [];
}

export const pathOf = (ring: Point[]): string => (ring.length === 0 ? '' : `M${ring.map(([x, y]) => `${x.toFixed(2)} ${y.toFixed(2)}`).join('L')}Z`);

export function hectares(ring: Point[]): number {
  let sum = 0;
  ring.forEach(([x, y], at) => {
    const [nextX, nextY] = ring[(at + 1) % ring.length]!;
    sum += x * nextY - nextX * y;
  });
  return Math.abs(sum) / 2 / 10_000;
}

/** The points in the middle of every line, where one may be added. */
export const middles = (ring: Point[]): Point[] => ring.map(([x, y], at) => {
  const [nextX, nextY] = ring[(at + 1) % ring.length]!;
  return [(x + nextX) / 2, (y + nextY) / 2];
});

/** Onto a corner of a neighbour when it is near: cells that touch leave no gap. */
export function snapped([x, y]: Point, corners: Point[], reach: number): Point {
  let nearest: Point = [x, y], distance = reach;
  for (const [cx, cy] of corners) {
    const away = Math.hypot(cx - x, cy - y);
    if (away < distance) [nearest, distance] = [[cx, cy], away];
  }
  return nearest;
}

export interface CellFields { code: string; name: string; scheme: string; kind: string; parent: string | null }
export function geojson(fields: CellFields, ring: Point[], sheet: Sheet, others: [number, number][][][] = []): string {
  const back = ring.map((point) => sheet.back(point).map((degree) => Number(degree.toFixed(7))) as [number, number]);
  const closed = [...back, back[0]!], properties = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== ''));
  const geometry = others.length === 0 ? { type: 'Polygon', coordinates: [closed] } : { type: 'MultiPolygon', coordinates: [[closed], ...others] };
  return JSON.stringify({ type: 'FeatureCollection', features: [{ type: 'Feature', properties, geometry }] });
}
