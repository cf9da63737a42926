// The list of conversations: opening, renaming, exporting, deleting. Knows conversations' titles and the DOM; what
// the buttons do is given to it.

import { h, iconButton } from './dom.js';

const DAY = 86_400_000;

export class Sidebar {
  #actions;
  #titles = new Map();

  constructor(root, actions) {
    this.root = root;
    this.#actions = actions;
  }

  /** `conversations`, the latest first; `current` is open, `isBusy` tells which are being answered. */
  show(conversations, { current, isBusy }) {
    // A field that is being typed in stays.
    if (this.root.querySelector('.rename')) return;
    const focused = document.activeElement?.closest?.('[data-conversation]')?.dataset.conversation;
    const groups = Map.groupBy ? Map.groupBy(conversations, groupOf) : grouped(conversations);
    this.#titles.clear();
    this.root.replaceChildren(
      ...[...groups].map(([name, members]) => {
        const heading = `group-${name.replace(/\W/g, '')}`;
        const rows = members.map((conversation) => this.#row(conversation, conversation.id === current, isBusy(conversation)));
        return h('section', {}, h('h2', { id: heading }, name), h('ul', { 'aria-labelledby': heading }, rows));
      }),
    );
    if (focused) this.#titles.get(focused)?.focus();
  }

  #row(conversation, isCurrent, busy) {
    const { id } = conversation;
    const title = conversation.title || 'New conversation';
    const open = h(
      'button',
      { type: 'button', class: 'open', 'aria-current': isCurrent ? 'true' : null, title, onclick: () => this.#actions.open(id) },
      h('span', { class: 'title', dir: 'auto' }, title),
      busy && h('span', { class: 'busy' }, h('span', { class: 'visually-hidden' }, ' (answering)')),
    );
    this.#titles.set(id, open);
    const row = h('li', { dataset: { conversation: id }, class: isCurrent ? 'current' : null });
    const menu = h('div', { popover: 'auto', class: 'menu', id: `menu-${id}` }, this.#items(conversation, row));
    const more = iconButton('more', `More about ${title}`, null, { class: 'quiet more', 'aria-haspopup': 'true', 'aria-expanded': 'false' });
    more.popoverTargetElement = menu;
    menu.addEventListener('toggle', ({ newState }) => {
      more.setAttribute('aria-expanded', String(newState === 'open'));
      if (newState === 'open') place(menu, more);
    });
    row.append(open, more, menu);
    return row;
  }

  #items(conversation, row) {
    const item = (text, action, kind = null) => {
      const onclick = ({ currentTarget }) => {
        currentTarget.closest('[popover]').hidePopover();
        action();
      };
      return h('button', { type: 'button', class: kind, onclick }, text);
    };
    return [
      item('Rename', () => this.rename(conversation, row)),
      item('Export', () => this.#actions.exportOne(conversation)),
      item('Delete', () => this.#actions.remove(conversation), 'danger'),
    ];
  }

  rename(conversation, row = this.root.querySelector(`[data-conversation="${CSS.escape(conversation.id)}"]`)) {
    const field = h('input', { class: 'rename', 'aria-label': 'Name of the conversation', maxlength: '200', dir: 'auto' });
    field.value = conversation.title;
    let done = false;
    const finish = (keep) => {
      if (done) return;
      done = true;
      const title = field.value.trim();
      field.remove();
      this.#actions.rename(conversation, keep && title !== '' ? title : conversation.title);
      this.#titles.get(conversation.id)?.focus();
    };
    field.addEventListener('keydown', (event) => {
      if (event.isComposing || (event.key !== 'Enter' && event.key !== 'Escape')) return;
      event.preventDefault();
      event.stopPropagation();
      finish(event.key === 'Enter');
    });
    field.addEventListener('blur', () => finish(true));
    row.replaceChildren(field);
    field.select();
  }
}

function groupOf({ updated }) {
  const today = new Date().setHours(0, 0, 0, 0);
  if (updated >= today) return 'Today';
  return updated >= today - 6 * DAY ? 'Last 7 days' : 'Earlier';
}

function grouped(conversations) {
  const groups = new Map();
  for (const conversation of conversations) {
    const name = groupOf(conversation);
    groups.set(name, [...(groups.get(name) ?? []), conversation]);
  }
  return groups;
}

/** Beside its button, inside the window. */
function place(menu, button) {
  const at = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  menu.style.left = `${Math.max(8, Math.min(at.right - width, innerWidth - width - 8))}px`;
  menu.style.top = `${at.bottom + height + 12 > innerHeight ? at.top - height - 4 : at.bottom + 4}px`;
}
