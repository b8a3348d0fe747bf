// Hours of a duty such as `Mon-Fri 08:00-20:00; Sat,Sun 20:00-08:00`, as stretches of the week in minutes since Monday. What cannot be read is the whole week:
// the gateway alone decides, this only draws.
const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'], DAY = 1440;
export const WEEK = 7 * DAY;

export function stretches(hours: string | null): [from: number, until: number][] {
  if (!hours) return [[0, WEEK]];
  const found: [number, number][] = [];
  for (const part of hours.split(';').map((one) => one.trim()).filter((one) => one !== '')) {
    const time = /(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(part);
    const named = part.replace(/\s*\d\d:\d\d-\d\d:\d\d$/, '').trim();
    const days = named === '' ? [0, 1, 2, 3, 4, 5, 6] : named.split(',').flatMap((one) => {
      const [first, last] = one.split('-').map((day) => DAYS.indexOf(day.trim()));
      if (first === undefined || first < 0 || (last !== undefined && last < 0)) return [];
      const end = last ?? first;
      return Array.from({ length: ((end - first + 7) % 7) + 1 }, (_, step) => (first + step) % 7);
    });
    const [from, until] = time ? [Number(time[1]) * 60 + Number(time[2]), Number(time[3]) * 60 + Number(time[4])] : [0, DAY];
    for (const day of days) {
      const begin = day * DAY + from, end = day * DAY + (until <= from ? until + DAY : until);
      found.push([begin, Math.min(end, WEEK)]);
      if (end > WEEK) found.push([0, end - WEEK]);
    }
  }
  return found.length > 0 ? found : [[0, WEEK]];
}
