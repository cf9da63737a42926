// Builds DOM nodes. Text only ever becomes text nodes: there is no way here to turn a string into markup.
// Knows nothing of chats.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An element. `props`: `class`, `dataset`, `on…` (listeners), `true` for a bare attribute; `null`, `undefined`
 * and `false` are left out. Children: nodes and strings; `null` and `false` are left out.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'dataset') Object.assign(element.dataset, value);
    else element.setAttribute(name === 'class' ? 'class' : name, value === true ? '' : String(value));
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child);
  }
}

/** Strokes on a 24-unit square, drawn for this page. */
const ICONS = {
  plus: 'M12 5v14M5 12h14',
  menu: 'M4 7h16M4 12h16M4 17h10',
  send: 'M12 19V5M6 11l6-6 6 6',
  stop: 'M7.5 7.5h9v9h-9z',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  cross: 'M6 6l12 12M18 6L6 18',
  again: 'M20 12a8 8 0 1 1-2.6-5.9M20 3v5h-5',
  replay: 'M5 9h14M5 15h14',
  edit: 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  left: 'M14 6l-6 6 6 6',
  right: 'M10 6l6 6-6 6',
  down: 'M12 5v14M6 13l6 6 6-6',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  sliders: 'M4 8h9M19 8h1M4 16h1M11 16h9M16 5v6M8 13v6',
  keyboard: 'M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M19 5l-1.4 1.4M6.4 17.6L5 19',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z',
  request: 'M8 5c-3 0-1 6-4 7 3 1 1 7 4 7M16 5c3 0 1 6 4 7-3 1-1 7-4 7',
};

/** An icon that says nothing to a screen reader: the button around it has the label. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  for (const [key, value] of Object.entries({ viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false', class: 'icon' })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon; `label` is its name and its tooltip, `text` is shown beside the icon. */
export function iconButton(name, label, onclick, { text = null, ...props } = {}) {
  const words = text === null ? null : h('span', {}, text);
  return h('button', { type: 'button', title: label, 'aria-label': label, onclick, ...props }, icon(name), words);
}

/** Puts text on the clipboard and shows on the button, for a moment, whether that went well. */
export async function copyFrom(button, text, announce = () => {}) {
  let name = 'check';
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // No clipboard without HTTPS or on a plain address: the old way still works there.
    name = copyBySelection(text) ? 'check' : 'cross';
  }
  announce(name === 'check' ? 'Copied' : 'Could not copy');
  const old = button.querySelector('.icon');
  if (!old || button.dataset.flash) return;
  button.dataset.flash = name;
  const fresh = icon(name);
  old.replaceWith(fresh);
  setTimeout(() => {
    fresh.replaceWith(old);
    delete button.dataset.flash;
  }, 1400);
}

function copyBySelection(text) {
  const area = h('textarea', { class: 'visually-hidden', 'aria-hidden': 'true', tabindex: '-1' });
  const focused = document.activeElement;
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  focused?.focus();
  return done;
}
