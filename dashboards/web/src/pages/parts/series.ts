// Values over time, from the gateway's own history, in the shape that the chart wants.
import { get } from '../../lib/gateway';

export interface Wanted { device: string; metric: string }
export interface Line extends Wanted { label: string; unit: string; flag: boolean; times: number[]; values: (number | null)[] }
interface Series { unit: string; items: { time: string; min: number; max: number; mean: number; last: number; count: number }[] }

/** Every series with its lowest and highest between two points would be a band; the line is the mean, and the extremes of what was squeezed together are kept as points. */
export async function fetchLine(wanted: Wanted, label: string, flag: boolean, from: Date, to: Date, points: number): Promise<Line> {
  const query = new URLSearchParams({ device: wanted.device, metric: wanted.metric, from: from.toISOString(), to: to.toISOString(), points: String(points) });
  const series = await get<Series>(`/api/v1/series?${query}`);
  const times: number[] = [], values: number[] = [];
  for (const { time, min, max, mean, last, count } of series.items) {
    const at = new Date(time).getTime() / 1000;
    if (count > 2 && max - min > 0) {
      times.push(at, at + 0.001, at + 0.002);
      values.push(min, max, mean);
    } else {
      times.push(at);
      values.push(flag ? last : mean);
    }
  }
  return { ...wanted, label, unit: series.unit, flag, times, values };
}
