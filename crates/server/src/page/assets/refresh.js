// Renews the part of a page that is still changing: `data-refresh` names the events that tell of it. Without this
// script the page shows what was true when it was asked for.
'use strict';

(() => {
  const EVERY_MS = 2000;
  let wanted = false;
  let busy = false;
  let last = 0;

  const parts = () => [...document.querySelectorAll('[data-refresh]')];

  // Which folded parts are open, and what has the focus, stays as it was.
  const replace = (part, other) => {
    const open = [...part.querySelectorAll('details[open][id]')].map((one) => one.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
    part.replaceChildren(...other.childNodes);
    if (other.dataset.refresh === undefined) delete part.dataset.refresh;
    for (const id of open) document.getElementById(id)?.setAttribute('open', '');
    if (focused !== null) part.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
    window.focusPage?.localise(part);
  };

  const renew = async () => {
    wanted = false;
    if (busy || document.hidden) return;
    busy = true;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        for (const part of parts()) {
          const other = page.getElementById(part.id);
          if (other !== null) replace(part, other);
        }
      }
    } catch {
      // The server is away: the next event says that it is back.
    } finally {
      busy = false;
      if (wanted) setTimeout(renew, EVERY_MS);
    }
  };

  const soon = () => {
    if (wanted) return;
    wanted = true;
    if (!busy) setTimeout(renew, Math.max(0, last + EVERY_MS - Date.now()));
  };

  for (const kind of ['outage', 'status', 'reset']) {
    document.addEventListener(`focus:${kind}`, () => {
      const listens = (part) => kind === 'reset' || part.dataset.refresh.split(' ').includes(kind);
      if (parts().some(listens)) soon();
    });
  }
})();
