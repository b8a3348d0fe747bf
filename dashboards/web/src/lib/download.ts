// A file for the reader, made in the browser.
export function download(name: string, content: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** As Excel reads it: with a byte order mark, quotes where they are needed. A cell that begins like a formula gets an apostrophe, or opening the file could run it. */
export function csv(rows: (string | number | null)[][]): Blob {
  const cell = (value: string | number | null): string => {
    if (typeof value === 'number') return String(value);
    const text = value === null ? '' : /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return new Blob(['\uFEFF', rows.map((row) => row.map(cell).join(',')).join('\r\n'), '\r\n'], { type: 'text/csv;charset=utf-8' });
}
