// Conversations as files: handed to the person, and taken back. Knows the store's format and the browser's downloads.

import * as store from './store.js';

export function download(conversations) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([store.exported(conversations)], { type: 'application/json' }));
  link.download = `samebit-${new Date().toISOString().slice(0, 10)}.json`;
  link.click();
  // The browser needs the address until the file is written; there is no telling when that is.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Adds a file's conversations to the library; gives one sentence about how that went. */
export async function importInto(library, file) {
  try {
    const conversations = store.imported(await file.text());
    for (const conversation of conversations) await library.add(conversation);
    return `Imported ${conversations.length} ${conversations.length === 1 ? 'conversation' : 'conversations'}.`;
  } catch (error) {
    return `Nothing was imported: ${error.message}.`;
  }
}
