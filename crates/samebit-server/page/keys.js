// Keyboard shortcuts: the list that is shown and the list that works are one. Knows key events.
//
// Alt with a letter goes by the key's place (`code`), as Alt changes what it types on some systems. On a Mac, Alt
// types letters that some languages need (ś, ç, ß), so there these work outside of text fields only.

export const ON_MAC = /Mac|iPhone|iPad/.test(navigator.platform);

const alt = (code) => (event) => {
  const typing = ON_MAC && event.target instanceof Element && event.target.closest('input, textarea') !== null;
  return event.altKey && !event.ctrlKey && !event.metaKey && event.code === code && !typing;
};

/** `match` is null where the key is dealt with on the spot (the message box). */
export const SHORTCUTS = [
  { keys: ['Enter'], label: 'Send the message', match: null },
  { keys: ['Shift', 'Enter'], label: 'New line', match: null },
  { keys: ['↑'], label: 'In an empty message box: edit the last message', match: null },
  { keys: ['Esc'], label: 'Stop the answer, or close what is open', match: (event) => event.key === 'Escape', action: 'escape', passes: true },
  { keys: ['Alt', 'M'], label: 'Go to the message box', match: alt('KeyM'), action: 'focusComposer' },
  { keys: ['Alt', 'N'], label: 'New conversation', match: alt('KeyN'), action: 'newConversation' },
  { keys: ['Alt', 'R'], label: 'Regenerate the last answer', match: alt('KeyR'), action: 'regenerateLast' },
  { keys: ['Alt', 'P'], label: 'Replay the last answer', match: alt('KeyP'), action: 'replayLast' },
  { keys: ['Alt', 'C'], label: 'Copy the last answer', match: alt('KeyC'), action: 'copyLast' },
  { keys: ['Alt', 'S'], label: 'Parameters', match: alt('KeyS'), action: 'showSettings' },
  { keys: ['Alt', 'B'], label: 'Show or hide the conversations', match: alt('KeyB'), action: 'toggleSidebar' },
  { keys: ['Alt', '↑'], label: 'Conversation above', match: alt('ArrowUp'), action: 'previousConversation' },
  { keys: ['Alt', '↓'], label: 'Conversation below', match: alt('ArrowDown'), action: 'nextConversation' },
  { keys: ['Alt', '/'], label: 'Show this list', match: alt('Slash'), action: 'showShortcuts' },
];

export function listen(actions) {
  document.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    const shortcut = SHORTCUTS.find(({ match }) => match?.(event));
    if (!shortcut) return;
    // An open dialog has the keyboard to itself.
    if (document.querySelector('dialog[open]')) return;
    if (!shortcut.passes) event.preventDefault();
    actions[shortcut.action]();
  });
}
