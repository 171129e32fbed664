// Parts of a page that move: what has `data-renew` names the events after which it is asked for again, from the
// page's own address. Without this script the page shows what was true when it was asked for.
'use strict';

(() => {
  const parts = [...document.querySelectorAll('[data-renew][id]')];
  if (parts.length === 0) return;

  // The least time between two questions, and the longest while nothing is told: lines grow, times go on.
  const SOON_MS = 1000;
  const LATE_MS = 10000;
  const UNDER_WAY_MS = 2000;

  const isPaused = () => document.getElementById('pause')?.getAttribute('aria-pressed') === 'true';
  // Who writes, chooses or selects in a part is not disturbed.
  const isUsed = (part) => {
    const active = document.activeElement;
    const inside = active !== null && part.contains(active) && active.matches('input, select, textarea, button');
    const selection = document.getSelection();
    const selects = selection !== null && !selection.isCollapsed && part.contains(selection.anchorNode);
    return inside || selects || part.querySelector('details[open] form') !== null;
  };

  let asking = false;
  let askedAt = 0;
  const renew = async () => {
    if (asking || document.hidden || isPaused()) return;
    asking = true;
    askedAt = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' }, redirect: 'error' });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const id of parts.map((part) => part.id)) {
        const [part, other] = [document.getElementById(id), fresh.getElementById(id)];
        if (part === null || other === null || isUsed(part)) continue;
        const focused = document.activeElement;
        const at = focused !== null && part.contains(focused) ? focused.id || focused.getAttribute('href') : null;
        // What is unfolded stays so.
        for (const one of part.querySelectorAll('details[open][id]')) fresh.getElementById(one.id)?.setAttribute('open', '');
        part.replaceWith(document.adoptNode(other));
        if (at !== null && at !== '') {
          document.getElementById(at)?.focus();
          [...other.querySelectorAll('a[href]')].find((link) => link.getAttribute('href') === at)?.focus();
        }
        window.focusPage?.localise(other);
      }
    } catch {
      // The server is away: the next try may reach it.
    } finally {
      asking = false;
    }
  };

  const isUnderWay = () => document.querySelector('[data-renew][data-under-way]') !== null;
  // What moves all the time in a status is in the header already; the rest is asked for.
  const still = (status) => JSON.stringify([
    status.catalog_state, status.catalog_reason, status.index_state, status.outage?.began_at, status.recovery === null,
    status.fill === null, status.comparison === null, status.verification === null, status.alerts, status.hints,
    status.held, status.roots?.map((root) => [root.state, root.lease, root.watch]),
  ]);
  let seen = null;
  let wanted = false;
  for (const kind of new Set(parts.flatMap((part) => part.dataset.renew.split(' ')))) {
    document.addEventListener(`focus:${kind}`, (event) => {
      if (kind === 'status') {
        const now = still(event.detail);
        const changed = seen !== null && now !== seen;
        seen = now;
        if (!changed) return;
      }
      wanted = true;
    });
  }
  setInterval(() => {
    const since = Date.now() - askedAt;
    const due = wanted ? SOON_MS : isUnderWay() ? UNDER_WAY_MS : LATE_MS;
    if (since < due) return;
    wanted = false;
    renew();
  }, 500);
  askedAt = Date.now();
})();
