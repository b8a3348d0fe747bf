// The figures as a picture for a report: what stands on the page first, on white, whatever the screen looks like.
import { dateTime } from '../../lib/format';
import type { Row } from './Busiest.svelte';
import { figure, percent, perTenMinutes, PRIORITIES, span, targets, type Answer, type Priority } from './figures';
import { words } from './words';

const WIDTH = 1200, EDGE = 48, LINE = 34, INK = '#15202b', FAINT = '#536070', RULE = '#d2dae2', FILLS: Record<Priority, string> = { high: '#c8102e', medium: '#f08a24', low: '#7b8794' };
const FONT = 'system-ui, "Noto Sans CJK SC", "Noto Sans SC", "Microsoft YaHei", sans-serif';

export function picture(answer: Answer, weeks: Row[]): Promise<Blob | null> {
  const { from, to, all } = answer, w = words(), canvas = document.createElement('canvas'), pen = canvas.getContext('2d')!;
  const figures = targets(answer);
  canvas.width = WIDTH;
  canvas.height = EDGE * 2 + LINE * (figures.length + weeks.length + 12);
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, WIDTH, canvas.height);
  let y = EDGE + 12;
  const write = (text: string, x: number, size = 20, weight = 400, colour = INK): void => {
    pen.font = `${weight} ${size}px ${FONT}`;
    pen.fillStyle = colour;
    pen.fillText(text, x, y);
  };
  const rule = (): void => {
    pen.fillStyle = RULE;
    pen.fillRect(EDGE, y - 24, WIDTH - 2 * EDGE, 1);
  };
  write(w.title, EDGE, 30, 700);
  y += LINE;
  write(`${dateTime(from)} – ${dateTime(to)} · ${w.alarms} ${all.alarms}`, EDGE, 18, 400, FAINT);
  y += LINE;
  for (const { name, shown, target, good } of figures) {
    y += LINE;
    rule();
    write(name, EDGE);
    write(shown, 480, 22, 700);
    write(`${w.target} ${target}`, 640, 18, 400, FAINT);
    write(good ? `✓ ${w.good}` : `▲ ${w.over}`, 900, 18, 650, good ? '#17693a' : '#b00d27');
  }
  y += LINE * 1.5;
  write(w.priorities, EDGE, 20, 700);
  for (const [name, shares] of [[w.actual, all], [w.wanted, PRIORITIES]] as const) {
    y += LINE;
    write(name, EDGE, 18, 400, FAINT);
    let x = 160;
    for (const priority of ['high', 'medium', 'low'] as const) {
      const wide = (WIDTH - 160 - EDGE) * shares[priority];
      pen.fillStyle = FILLS[priority];
      pen.fillRect(x, y - 20, wide, 26);
      if (wide > 70) write(percent(shares[priority]), x + 10, 16, 650, priority === 'medium' ? '#2a1500' : '#fff');
      x += wide;
    }
  }
  y += LINE * 1.8;
  const columns = [EDGE, 300, 480, 640, 780, 910, 1040];
  [w.week, w.alarms, w.perTen, w.peak, w.acknowledge, w.arrive, w.resolve].forEach((head, at) => write(head, columns[at]!, 16, 400, FAINT));
  for (const { name, of } of weeks) {
    y += LINE;
    rule();
    [name, String(of.alarms), figure(perTenMinutes(of)), String(of.peak_per_10_min), span(of.to_acknowledge.median_ms), span(of.to_arrive.median_ms), span(of.to_resolve.median_ms)].forEach((text, at) => write(text, columns[at]!));
  }
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}
