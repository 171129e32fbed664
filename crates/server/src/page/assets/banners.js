// Banners come and go as what they tell of begins and ends. The server says which there are, so that page and
// script never differ.
'use strict';

(() => {
  // That the last scan is long ago is told by no event.
  const RENEW_MS = 30_000;
  let shown = document.getElementById('banners');
  if (shown === null) return;

  // As the server renders them: times in the viewer's zone are added to what is shown.
  const bare = (element) => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll('.local').forEach((local) => local.remove());
    return copy;
  };
  const kinds = (element) => [...element.querySelectorAll('[data-banner]')].map((one) => one.dataset.banner);

  const put = (fresh) => {
    if (bare(shown).textContent === fresh.textContent) return;
    const before = kinds(shown);
    shown.replaceWith(document.adoptNode(fresh));
    shown = fresh;
    window.focusPage?.localise(shown);
    // The state of the catalog is announced by itself.
    const come = [...shown.querySelectorAll('[data-banner] strong')].filter((words) =>
      !['catalog', ...before].includes(words.closest('[data-banner]').dataset.banner));
    if (come.length > 0) window.focusPage?.announce(come.map((words) => words.textContent).join(' '));
  };

  let isAsking = false;
  let isOwed = false;
  const renew = async () => {
    isOwed = isAsking;
    if (isAsking || document.hidden) return;
    isAsking = true;
    try {
      const answer = await fetch('/banners', { redirect: 'error' });
      // Who may not read any more signs in, and comes back to this page.
      if (answer.status === 401) location.reload();
      const text = answer.ok ? await answer.text() : '';
      const fresh = new DOMParser().parseFromString(text, 'text/html').getElementById('banners');
      if (fresh !== null) put(fresh);
    } catch {
      // The server is away: the next try may reach it.
    }
    isAsking = false;
    if (isOwed) renew();
  };

  let depended = null;
  document.addEventListener('focus:status', (event) => {
    const { catalog_state: state, catalog_reason: reason, catalog_refuses: refuses, held, roots } = event.detail;
    const catalog = state === 'down' ? [reason, refuses] : null;
    const now = JSON.stringify([catalog, held, roots?.map((root) => [root.path, root.state, root.reason])]);
    // The first one may tell of what has begun since the page was rendered.
    if (now !== depended) renew();
    depended = now;
  });
  document.addEventListener('focus:refused', renew);
  setInterval(() => {
    if (document.getElementById('pause')?.getAttribute('aria-pressed') !== 'true') renew();
  }, RENEW_MS);
})();
