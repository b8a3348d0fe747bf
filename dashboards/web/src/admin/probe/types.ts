// What /api/v1/modbus answers.
export const TABLES = ['holding', 'input', 'coils', 'discrete_inputs'] as const, TYPES = ['f32', 'u32', 'i32', 'f64'] as const, ORDERS = ['ABCD', 'CDAB', 'BADC', 'DCBA'] as const;
export type Table = (typeof TABLES)[number];
export interface Field { metric: string; table: Table; address: number; number: string; order: string }
export interface Unit { unit: number; address: string; device: string | null; fields: Field[]; reads: { table: Table; start: number; count: number }[] }
export interface Bus { name: string; line: string; poll_every_ms: number; units: Unit[] }
export interface Made { metric: string; unit: string; address: number; count: number; value: number | null; quality: string | null; fault: string | null }
export interface Register { address: number; word: number; numbers: Record<string, (number | null)[]> }
export interface Registers {
  took_ms: number;
  registers: Register[];
  values: Made[];
  candidates: { address: number; number: string; order: string; value: number; unit: string }[];
  proposal: string | null;
}

export const hex = (number: number): string => number.toString(16).toUpperCase().padStart(4, '0');
/** As many digits as tell something; a float may be as small or large as it likes. */
export function written(value: number | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (Number.isInteger(value) && Math.abs(value) < 1e10) return String(value);
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e7 ? String(Number(value.toFixed(5))) : value.toExponential(3);
}
