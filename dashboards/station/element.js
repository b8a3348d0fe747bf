// Making parts of the page. Whatever comes from the gateway enters as text (textContent), never as HTML.

export const $ = (id) => document.getElementById(id);

export function element(name, options = {}, ...children) {
  const made = name.startsWith('svg:') ? document.createElementNS('http://www.w3.org/2000/svg', name.slice(4)) : document.createElement(name);
  if (options.class) made.setAttribute('class', options.class);
  if (options.text !== undefined) made.textContent = options.text;
  for (const [key, value] of Object.entries(options.attributes ?? {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function clockTime(text) {
  const at = new Date(text), today = new Date().toDateString() === at.toDateString();
  const time = at.toLocaleTimeString('zh-CN', { hour12: false });
  return today ? time : `${at.getMonth() + 1}-${at.getDate()} ${time}`;
}
