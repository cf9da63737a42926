// Light or dark, decided before the first paint: a classic script in the head, so that nothing flashes.
// Knows localStorage and the attribute `data-theme` of <html>; nothing of the rest of the page.

(() => {
  const KEY = 'samebit.theme';
  const prefersDark = matchMedia('(prefers-color-scheme: dark)');

  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // Storage switched off: the system's choice holds.
    }
  }

  function apply() {
    const dark = (stored() ?? (prefersDark.matches ? 'dark' : 'light')) === 'dark';
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
    document.dispatchEvent(new CustomEvent('samebit:theme', { detail: { dark } }));
  }

  // Going back to what the system wants forgets the choice, so that the page follows the system again.
  function toggle() {
    const dark = document.documentElement.dataset.theme !== 'dark';
    try {
      if (dark === prefersDark.matches) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, dark ? 'dark' : 'light');
    } catch {
      document.documentElement.dataset.theme = dark ? 'dark' : 'light';
      return;
    }
    apply();
  }

  prefersDark.addEventListener('change', apply);
  window.addEventListener('storage', (event) => event.key === KEY && apply());
  document.addEventListener('samebit:toggle-theme', toggle);
  apply();
})();
