// What moves on every page: the numbers of the header, and times in the viewer's zone. Without this script the
// page shows what was true when it was asked for.
'use strict';

(() => {
  const grouped = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, ',');
  const duration = (ms) => {
    const s = Math.floor(ms / 1000);
    if (s < 1) return `${ms} ms`;
    if (s < 60) return `${s}.${Math.floor((ms % 1000) / 100)} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
  };
  const inUtc = (text) => `${text.slice(0, 19).replace('T', ' ')} UTC`;
  const zone = new Intl.DateTimeFormat('en-GB', {
    year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
    hour12: false, timeZoneName: 'short',
  });
  const local = (text) => {
    const at = new Date(text);
    if (Number.isNaN(at.getTime())) return '';
    const part = Object.fromEntries(zone.formatToParts(at).map((one) => [one.type, one.value]));
    return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second} ${part.timeZoneName}`;
  };
  const isUtc = new Date().getTimezoneOffset() === 0 && new Date(0).getTimezoneOffset() === 0;

  // Adds the time in the viewer's zone beside each time in UTC.
  const localise = (within) => {
    if (isUtc) return;
    for (const time of within.querySelectorAll('time[datetime]:not([data-local])')) {
      const text = local(time.getAttribute('datetime'));
      if (text === '') continue;
      time.dataset.local = '';
      const span = document.createElement('span');
      span.className = 'local';
      span.textContent = ` (${text})`;
      time.append(span);
    }
  };

  const tones = {
    in_step: ['good', '✓'], recovering: ['busy', '↻'], connecting: ['busy', '↻'], standby: ['plain', '•'],
    unknown: ['warn', '!'], down: ['bad', '✕'],
  };

  const show = (element, value) => {
    const raw = value === null || value === undefined ? '' : String(value);
    if (element.dataset.value === raw) return;
    element.dataset.value = raw;
    switch (element.dataset.kind) {
      case 'number': element.textContent = grouped(raw); break;
      case 'duration': element.textContent = duration(Number(raw)); break;
      case 'time': {
        if (raw === '') { element.textContent = 'not yet'; break; }
        const time = document.createElement('time');
        time.setAttribute('datetime', raw);
        time.textContent = inUtc(raw);
        element.replaceChildren(time);
        localise(element);
        break;
      }
      case 'state': {
        const [tone, sign] = tones[raw] ?? ['plain', '•'];
        const state = document.createElement('span');
        state.className = `state ${tone}`;
        const mark = document.createElement('span');
        mark.setAttribute('aria-hidden', 'true');
        mark.textContent = sign;
        state.append(mark, ` ${raw.replaceAll('_', ' ')}`);
        element.replaceChildren(state);
        break;
      }
      default: element.textContent = raw;
    }
  };

  // Only a change of state is announced: numbers change all the time.
  let state = document.querySelector('[data-field="catalog_state"]')?.dataset.value;
  const announce = (words) => { document.getElementById('announce').textContent = words; };

  const take = (status) => {
    for (const element of document.querySelectorAll('[data-field]')) {
      const field = element.dataset.field;
      if (field in status) show(element, status[field]);
    }
    if (status.catalog_state !== state) {
      state = status.catalog_state;
      announce(`The catalog is ${state.replaceAll('_', ' ')}.`);
    }
  };

  // A stream that breaks is opened again by the browser, and one that is refused by us.
  const AGAIN_MS = 5_000;
  const SILENT_MS = 3_000;
  let source = null;
  let paused = false;
  let again = 0;
  let silent = 0;
  const notTold = document.getElementById('not-told');
  const hears = (does) => {
    clearTimeout(silent);
    silent = 0;
    if (does) notTold.hidden = true;
  };
  const broken = () => {
    if (silent === 0) silent = setTimeout(() => { notTold.hidden = false; }, SILENT_MS);
    if (source.readyState !== EventSource.CLOSED) return;
    source = null;
    document.dispatchEvent(new CustomEvent('focus:refused'));
    again = setTimeout(open, AGAIN_MS);
  };
  const kinds = ['status', 'outage', 'alert', 'job', 'reset'];
  const open = () => {
    if (source !== null || paused || document.hidden) return;
    clearTimeout(again);
    source = new EventSource('/api/v1/events?types=status,outage,alert,job');
    source.addEventListener('open', () => hears(true));
    source.addEventListener('error', broken);
    for (const kind of kinds) {
      source.addEventListener(kind, (event) => {
        const told = JSON.parse(event.data);
        if (kind === 'status') take(told);
        document.dispatchEvent(new CustomEvent(`focus:${kind}`, { detail: told }));
      });
    }
  };
  const close = () => {
    source?.close();
    source = null;
    clearTimeout(again);
    hears(false);
  };

  const pause = document.getElementById('pause');
  if (pause !== null) {
    pause.hidden = false;
    pause.addEventListener('click', () => {
      paused = !paused;
      pause.setAttribute('aria-pressed', String(paused));
      if (paused) close(); else open();
    });
  }
  document.addEventListener('visibilitychange', () => { if (document.hidden) close(); else open(); });
  window.addEventListener('pagehide', close);
  window.addEventListener('pageshow', open);

  window.focusPage = { grouped, duration, local, localise, inUtc, announce };
  localise(document);
  open();
})();
