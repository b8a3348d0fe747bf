// Writes the dashboards: flux/, influxql/ and prometheus/. `node make.mjs`; with `--check` it writes nothing and fails when a file is not what it would write.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { BOARDS } from './boards.mjs';
import { dashboard } from './panels.mjs';

const check = process.argv.includes('--check');
for (const [language, boards] of Object.entries(BOARDS)) {
  const folder = new URL(`${language}/`, import.meta.url);
  if (!check) mkdirSync(folder, { recursive: true });
  for (const board of boards) {
    const file = new URL(`${board.uid}.json`, folder), text = `${JSON.stringify(dashboard(language, board), null, 1)}\n`;
    if (!check) writeFileSync(file, text);
    else if (readFileSync(file, 'utf8') !== text) throw new Error(`${language}/${board.uid}.json is not what make.mjs writes: run \`node dashboards/grafana/make.mjs\``);
  }
}
