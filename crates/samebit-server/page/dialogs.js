// The windows over the page: parameters, shortcuts, the key; and the line that says what just happened.
// Knows parameters, shortcuts and the DOM.

import { setKey } from './api.js';
import { h, icon, iconButton } from './dom.js';
import { ON_MAC, SHORTCUTS } from './keys.js';
import { FIELDS, parseField, PLAIN } from './settings.js';

const TOAST_MS = 10_000;

function dialog(kind, title, ...content) {
  const id = `${kind}-title`;
  const close = iconButton('cross', 'Close', () => element.close(), { class: 'quiet' });
  const element = h('dialog', { class: kind, 'aria-labelledby': id }, h('header', {}, h('h2', { id, tabindex: '-1', autofocus: true }, title), close), content);
  // A click beside the window closes it; a press that began inside (selecting text) does not.
  element.addEventListener('mousedown', (event) => event.target === element && element.close());
  element.addEventListener('close', () => element.remove());
  document.body.append(element);
  return element;
}

/** The list of shortcuts. */
export function showShortcuts() {
  const rows = SHORTCUTS.map(({ keys, label }) => h('div', {}, h('dt', {}, keys.map((key) => h('kbd', {}, key))), h('dd', {}, label)));
  const mac = ON_MAC && h('p', { class: 'lead' }, 'Those with Alt work outside of text fields.');
  dialog('shortcuts', 'Keyboard', h('dl', {}, rows), mac).showModal();
}

/** Asks for an API key; gives it, or null. */
export function askForKey({ wrong }) {
  const field = h('input', { type: 'password', id: 'key-field', autocomplete: 'off', required: true, 'aria-describedby': 'key-why' });
  const remember = h('input', { type: 'checkbox', id: 'key-remember', checked: true });
  let given = null;
  const form = h(
    'form',
    {
      onsubmit: (event) => {
        event.preventDefault();
        given = field.value.trim();
        setKey(given, { remember: remember.checked });
        element.close();
      },
    },
    h('p', { id: 'key-why', class: wrong ? 'problem' : null }, wrong ? 'The server does not accept this key.' : 'This server asks for an API key.'),
    h('label', { for: 'key-field' }, 'API key'),
    field,
    h('label', { class: 'check', for: 'key-remember' }, remember, 'Keep it in this browser'),
    h('div', { class: 'row' }, h('button', { type: 'button', onclick: () => element.close() }, 'Not now'), h('button', { type: 'submit', class: 'primary' }, 'Use this key')),
  );
  const element = dialog('key', 'API key', form);
  element.showModal();
  field.focus();
  return new Promise((resolve) => element.addEventListener('close', () => resolve(given)));
}

/**
 * Parameters of a conversation. `server`: `{models, defaults}`; `changed(settings)` after every change; `keep`,
 * `exportAll`, `importFile` are what the buttons do.
 */
export function showSettings(settings, server, { changed, keep, exportAll, importFile }) {
  const current = { ...settings };
  const set = (name, value) => {
    current[name] = value;
    changed({ ...current });
  };
  const form = h('form', { onsubmit: (event) => event.preventDefault() });
  const fill = () => form.replaceChildren(modelRow(current, server, set), systemRow(current, set), h('div', { class: 'fields' }, FIELDS.map((field) => fieldRow(field, current, server, set))));
  const reset = () => {
    Object.assign(current, PLAIN, { model: current.model });
    changed({ ...current });
    fill();
  };
  fill();
  const file = h('input', { type: 'file', accept: 'application/json,.json', class: 'visually-hidden', tabindex: '-1', 'aria-hidden': 'true' });
  file.addEventListener('change', () => file.files[0] && importFile(file.files[0]));
  const button = (text, onclick) => h('button', { type: 'button', onclick }, text);
  dialog(
    'settings',
    'Parameters',
    h('p', { class: 'lead' }, 'For the answers to come in this conversation. An answer keeps the parameters that it was given with.'),
    form,
    h('div', { class: 'row start' }, button('Use for new conversations', () => keep({ ...current })), button('Reset', reset)),
    h('h3', {}, 'Conversations'),
    h('p', { class: 'lead' }, 'They are kept in this browser and nowhere else.'),
    h('div', { class: 'row start' }, button('Export all', exportAll), button('Import…', () => file.click()), file),
    h('h3', {}, 'Server'),
    h('div', { class: 'row start' }, button('API key…', () => askForKey({ wrong: false }))),
  ).showModal();
}

function modelRow(current, { models }, set) {
  if (models.length < 2) return h('p', { class: 'model' }, h('span', { class: 'name' }, 'Model '), models[0] ?? 'unknown');
  const select = h('select', { id: 'field-model', onchange: () => set('model', select.value) }, models.map((id) => h('option', { value: id, selected: id === current.model }, id)));
  return h('div', { class: 'field' }, h('label', { for: 'field-model' }, 'Model'), select);
}

function systemRow(current, set) {
  const area = h('textarea', { id: 'field-system', rows: '4', dir: 'auto', placeholder: 'None', oninput: () => set('system', area.value) });
  area.value = current.system;
  return h('div', { class: 'field' }, h('label', { for: 'field-system' }, 'System prompt'), area);
}

function fieldRow(field, current, { defaults }, set) {
  const id = `field-${field.name}`;
  const theirs = field.server !== undefined ? defaults[field.server] : undefined;
  // Single-precision numbers come with digits that nobody wrote.
  const shown = typeof theirs === 'number' ? String(Number(theirs.toPrecision(6))) : 'server’s';
  const note = h('p', { class: 'hint', id: `${id}-hint` }, field.hint);
  const input = h('input', { id, type: 'text', inputmode: field.whole ? 'numeric' : 'decimal', autocomplete: 'off', placeholder: shown, 'aria-describedby': `${id}-hint` });
  input.value = current[field.name] ?? '';
  input.addEventListener('input', () => {
    const { value, problem } = parseField(field, input.value);
    input.setAttribute('aria-invalid', String(problem !== undefined));
    note.textContent = problem ?? field.hint;
    note.classList.toggle('problem', problem !== undefined);
    if (problem === undefined) set(field.name, value);
  });
  return h('div', { class: 'field' }, h('label', { for: id }, field.label), input, note);
}

/** Says what happened, for a while; with `undo`, a button that takes it back. */
export function toast(text, undo = null) {
  document.querySelector('.toast')?.remove();
  const element = h('div', { class: 'toast', role: 'status' }, h('span', {}, text));
  let timer = null;
  const close = () => element.remove();
  const wait = () => (clearTimeout(timer), (timer = setTimeout(close, TOAST_MS)));
  if (undo) element.append(h('button', { type: 'button', onclick: () => (close(), undo()) }, 'Undo'));
  element.append(h('button', { type: 'button', class: 'quiet', 'aria-label': 'Close', onclick: close }, icon('cross')));
  // Nobody is hurried who is looking at it.
  for (const event of ['mouseenter', 'focusin']) element.addEventListener(event, () => clearTimeout(timer));
  for (const event of ['mouseleave', 'focusout']) element.addEventListener(event, wait);
  document.body.append(element);
  wait();
}
