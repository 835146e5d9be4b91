// Before the first paint: the colours that the user chose, or the system's.
'use strict';

(() => {
  const KEY = 'pgstrata-theme';
  const saved = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // Storage may be forbidden.
    }
  };
  const apply = (theme) => {
    document.documentElement.dataset.theme = ['light', 'dark'].includes(theme) ? theme : 'auto';
  };
  apply(saved());
  document.addEventListener('DOMContentLoaded', () => {
    const choice = document.getElementById('theme');
    choice.value = document.documentElement.dataset.theme;
    choice.addEventListener('change', () => {
      apply(choice.value);
      try {
        localStorage.setItem(KEY, choice.value);
      } catch {
        // It holds until the page is left.
      }
    });
  });
})();
