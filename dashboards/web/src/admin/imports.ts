// Changes of the registry as the gateway takes them: a file, looked at first and then stored. One device is a file of one row.
import { send } from '../lib/gateway';

export type What = 'cells' | 'devices' | 'people' | 'absences' | 'teams' | 'buildings' | 'households';
export interface Imported {
  added: number;
  changed: number;
  retired: number;
  lines: string[];
  hints: string[];
  problems: { line: number; column: number; message: string }[];
  stored: boolean;
  version: number;
}

export function importFile(what: What, file: BodyInit, name: string, dryRun: boolean): Promise<Imported> {
  const query = new URLSearchParams({ file: name, ...(dryRun ? { dry_run: '1' } : {}) });
  return send<Imported>('POST', `/api/v1/imports/${what}?${query}`, undefined, { body: file, headers: { 'Content-Type': 'application/octet-stream' } });
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
/** A table of one row; a column that is left out keeps what it has. */
export function oneRow(fields: Record<string, string>): string {
  return `${Object.keys(fields).join(',')}\n${Object.values(fields).map(quoted).join(',')}\n`;
}
