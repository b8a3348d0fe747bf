// Every word of the pages is said somewhere: a key that no page names is a mistake of whoever took its page away, and is to be translated for nothing.
//
// Reads names only, as they are written here: `const { t } = $derived(speech)` or `speech.t`, `w = $derived(words().part)`, `words().part`, `w()`. Words that are chosen while the page runs, such as
// `t.stage[stage]` or `word(t.stage, stage)`, all count as said; chosen from the top, such as `w[span]`, those whose key stands in quotes somewhere, or is a key beside it. Run by `npm run check`.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';

const root = new URL('./src/', import.meta.url).pathname;
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(svelte|ts)$/.test(name));
const texts = new Map(files.map((name) => [name, readFileSync(join(root, name), 'utf8')]));

/** Paths of all words of an object literal, such as `page.board`; a literal list or text is one word. */
function paths(node, above = []) {
  while (ts.isAsExpression(node)) node = node.expression;
  if (!ts.isObjectLiteralExpression(node)) return [above];
  return node.properties.flatMap((one) => paths(one.initializer, [...above, one.name.text]));
}
function wordsOf(name) {
  const source = ts.createSourceFile(name, texts.get(name), ts.ScriptTarget.Latest);
  for (const statement of source.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name: variable, initializer } of statement.declarationList.declarations) if (variable.text === 'zh') return paths(initializer);
  }
  return [];
}
/** The file that an import names, as its path below src/. */
const target = (from, to) => normalize(join(dirname(from), to)).replace(/(\.ts)?$/, '.ts');

/** How a file calls the words of `of`: patterns that stand before the first key, each with the path it stands for. */
function names(file, text, of) {
  if (of === 'lib/words/zh.ts') {
    const found = [[/speech\.t\b/, []]];
    if (/\{\s*t\s*\}\s*=\s*(\$derived\()?speech\b/.test(text)) found.push([/(?<![\w.])t\b/, []]);
    return found;
  }
  const found = [];
  for (const [, list, from] of text.matchAll(/import \{([^}]*)\} from '(\.[^']*)'/g)) {
    if (target(file, from) !== of) continue;
    for (const one of list.split(',')) {
      const local = /(?:words|effectWords|w)\b(?: as (\w+))?/.exec(one.trim());
      if (!local || one.includes('type ')) continue;
      const call = local[1] ?? local[0];
      found.push([new RegExp(`(?<![\\w.])${call}\\(\\)`), []]);
      for (const [, alias, part] of text.matchAll(new RegExp(`(\\w+)\\s*=\\s*(?:\\$derived\\()?${call}\\(\\)(?:\\.(\\w+))?\\)?[,;\\n]`, 'g'))) found.push([new RegExp(`(?<![\\w.])${alias}(?!\\w)(?!\\s*=[^=])`), part ? [part] : []]);
    }
  }
  return found;
}

/** Keys that may be meant where one is chosen from the top. */
function chosen(of, file) {
  const beside = [...texts].filter(([name]) => dirname(name) === dirname(file) && name !== of).map(([, text]) => text).join('\n'), all = [...texts].filter(([name]) => name !== of && !isWords(name)).map(([, text]) => text).join('\n');
  return wordsOf(of).filter((path) => path.length === 1).map(([key]) => key).filter((key) => all.includes(`'${key}'`) || new RegExp(`[{,] ?${key}:`).test(beside));
}

const isWords = (name) => /(^|\/)(words|effect|zh|en)\.ts$/.test(name);
let unsaid = 0;
for (const of of files.filter((name) => isWords(name) && !name.endsWith('en.ts'))) {
  const all = wordsOf(of), said = new Set();
  for (const [file, text] of texts) {
    for (const [pattern, above] of file === of ? [[/(?<![\w.])words\(\)/, []]] : names(file, text, of)) {
      for (const { 0: name, index } of text.matchAll(new RegExp(pattern, 'g'))) {
        const keys = /^(?:\.\w+)*/.exec(text.slice(index + name.length))[0].split('.').slice(1);
        if (above.length + keys.length === 0) {
          if (text[index + name.length] === '[') chosen(of, file).forEach((key) => said.add(key));
          continue; // Else only named, to be asked for a key elsewhere.
        }
        said.add([...above, ...keys].join('.'));
      }
    }
  }
  for (const path of all) {
    // Said itself, or chosen from what stands above it.
    const parts = path.map((_, at) => path.slice(0, at + 1).join('.'));
    if (parts.some((one) => said.has(one)) || [...said].some((one) => one.startsWith(`${path.join('.')}.`))) continue;
    console.error(`src/${of}: nobody says \`${path.join('.')}\``);
    unsaid += 1;
  }
}
process.exitCode = unsaid > 0 ? 1 : 0;
