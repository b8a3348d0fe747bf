// A hydrant's pressure and what it means. The limits are those of the gateway's card (GB 50974-2014 7.2.8): 0.14 MPa in normal operation, 0.10 MPa while a fire is fought.
import type { Device, Mark, Value } from './types';

export const LOW_KPA = 140, VERY_LOW_KPA = 100, STALE_MS = 900_000;

export const pressureOf = (device: Device): Value | undefined => device.values.find((value) => value.metric === 'pressure');

export function mark(device: Device, now: number): Mark {
  const pressure = pressureOf(device);
  if (!pressure || pressure.quality === 'bad') return 'unknown';
  if (now - new Date(pressure.time).getTime() > STALE_MS) return 'stale';
  if (pressure.value < VERY_LOW_KPA) return 'very_low';
  return pressure.value < LOW_KPA ? 'low' : 'good';
}

/** Worst first. */
export const MARKS: readonly Mark[] = ['very_low', 'low', 'unknown', 'stale', 'good'];
