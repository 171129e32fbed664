// Banners come and go as what they tell of begins and ends. The server says which there are, so that page and
// script never differ.
'use strict';

(() => {
  const banners = () => document.getElementById('banners');
  if (banners() === null) return;
  const texts = () => [...banners().querySelectorAll('[data-banner]')].map((one) => one.textContent);

  let asking = false;
  const renew = async () => {
    if (asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch('/banners', { redirect: 'error' });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('banners');
      if (fresh === null || banners().textContent === fresh.textContent) return;
      const before = texts();
      banners().replaceWith(document.adoptNode(fresh));
      window.focusPage?.localise(fresh);
      const come = [...fresh.querySelectorAll('[data-banner]')].filter((one) => !before.includes(one.textContent));
      if (come.length > 0) window.focusPage?.announce(come.map((one) => one.textContent.trim()).join(' '));
    } catch {
      // The server is away: the next try may reach it.
    } finally {
      asking = false;
    }
  };

  let seen = null;
  document.addEventListener('focus:status', (event) => {
    const status = event.detail;
    const now = JSON.stringify([
      status.catalog_state === 'down', status.catalog_reason, status.held, status.roots?.map((root) => [root.path, root.state]),
    ]);
    // The first one may tell of what has begun since the page was rendered.
    const shown = (name) => banners().querySelectorAll(`[data-banner="${name}"]`).length;
    const isStale = (status.catalog_state === 'down') !== (shown('catalog') > 0) || (status.held > 0) !== (shown('held') > 0)
      || (status.roots ?? []).filter((root) => root.state !== 'present' && root.state !== 'unknown').length !== shown('root');
    if (seen === null ? isStale : now !== seen) renew();
    seen = now;
  });
  // That the last scan is long ago is told by no event.
  setInterval(() => {
    if (document.getElementById('pause')?.getAttribute('aria-pressed') !== 'true') renew();
  }, 30000);
})();
