// Moves through time on the page of coverage by keys, wheel and drag, and tells of the window at the pointer or the
// slider. Each move is an address: the new part of the page is fetched from it, and Back undoes the move. Without this
// script the links and forms of the page do the same.
'use strict';

(() => {
  const page = window.focusPage;
  const EARLIEST = 0;
  const LATEST = 7289654399999;
  const CLOSEST = 10;
  const SETTLE_MS = 180;
  const REFRESH_MS = 15000;

  let part = document.getElementById('coverage');
  if (part === null) return;
  let fetching = null;
  let numbers = null;
  let at = { lane: 0, window: null };
  let moved = null;
  let settling = 0;
  let touchedMs = 0;
  let refreshedMs = Date.now();
  let isArmed = false;

  const find = (selector) => part.querySelector(selector);
  const all = (selector) => [...part.querySelectorAll(selector)];
  const seen = () => ({ from: Number(part.dataset.from), to: Number(part.dataset.to) });
  const count = () => Number(part.dataset.buckets);
  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

  // The part of the page at an address takes the place of this one.
  const go = async (address, { push = true, quiet = false } = {}) => {
    const url = new URL(address, location.href);
    fetching?.abort();
    const mine = new AbortController();
    fetching = mine;
    let text;
    try {
      const answer = await fetch(url, { headers: { Accept: 'text/html' }, signal: mine.signal });
      if (!answer.ok) throw new Error(String(answer.status));
      text = await answer.text();
    } catch (error) {
      if (mine.signal.aborted) return;
      // The browser shows what the server says of it.
      if (quiet) restore(); else location.assign(url);
      return;
    }
    if (mine.signal.aborted) return;
    const other = new DOMParser().parseFromString(text, 'text/html');
    const next = other.getElementById('coverage');
    if (next === null) { location.assign(url); return; }
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const name = focused?.id || focused?.dataset.step;
    const opened = all('details[open] > summary').map((summary) => summary.textContent);
    if (push && url.href !== location.href) history.pushState(null, '', url);
    document.title = other.title;
    part.replaceWith(next);
    part = next;
    moved = null;
    numbers = null;
    refreshedMs = Date.now();
    for (const summary of all('details > summary')) {
      if (opened.includes(summary.textContent)) summary.parentElement.open = true;
    }
    page.localise(part);
    ready();
    if (name) (document.getElementById(name) ?? find(`[data-step="${name}"]`))?.focus({ preventScroll: true });
    if (!quiet) page.announce(find('.seen strong')?.textContent ?? '');
  };

  const over = (from, to) => {
    const url = new URL(location.href);
    url.searchParams.set('from', new Date(from).toISOString());
    url.searchParams.set('to', new Date(to).toISOString());
    url.searchParams.delete('cursor');
    url.searchParams.delete('year');
    return url;
  };

  // A range that can be shown: whole milliseconds within all time.
  const fitted = (from, to) => {
    const length = clamp(Math.round(to - from), CLOSEST, LATEST - EARLIEST);
    const begin = clamp(Math.round(from), EARLIEST, LATEST - length);
    return { from: begin, to: begin + length };
  };

  const restore = () => { moved = null; preview(seen()); };

  // What is there is stretched at once; what the server draws follows.
  const preview = (range) => {
    const { from, to } = seen();
    const unit = count() / (to - from);
    const box = `${(range.from - from) * unit} 0 ${(range.to - range.from) * unit} 30`;
    for (const track of all('.track')) track.setAttribute('viewBox', box);
    find('#chart')?.classList.toggle('moving', moved !== null);
    if (moved !== null) say(`${page.inUtc(new Date(range.from).toISOString())} to ${page.inUtc(new Date(range.to).toISOString())}`);
  };

  const move = (from, to) => {
    moved = fitted(from, to);
    touchedMs = Date.now();
    preview(moved);
    clearTimeout(settling);
    settling = setTimeout(settle, SETTLE_MS);
  };

  const settle = () => {
    clearTimeout(settling);
    if (moved === null || drag !== null) return;
    const { from, to } = seen();
    if (moved.from === from && moved.to === to) restore(); else go(over(moved.from, moved.to));
  };

  const zoom = (factor, share) => {
    const { from, to } = moved ?? seen();
    const length = clamp((to - from) * factor, CLOSEST, LATEST - EARLIEST);
    const still = from + (to - from) * share;
    move(still - length * share, still + length * (1 - share));
  };

  // Where the pointer is along the lanes, from 0 to 1; none beside them.
  const shareAt = (event) => {
    const box = find('.track')?.getBoundingClientRect();
    if (box === undefined || box.width === 0) return null;
    const share = (event.clientX - box.left) / box.width;
    return share >= 0 && share <= 1 ? share : null;
  };

  // The numbers of the lanes, as the API has them: asked for once somebody wants to know.
  const load = () => {
    numbers ??= fetch(part.dataset.api, { headers: { Accept: 'application/json' } })
      .then((answer) => (answer.ok ? answer.json() : null))
      .catch(() => null);
    return numbers;
  };

  const say = (text) => {
    const readout = find('#readout');
    if (readout !== null) readout.textContent = text;
  };

  const words = (told, lane, window) => {
    const bucket = told?.items?.[lane]?.buckets?.[window];
    if (bucket === undefined) return 'The numbers of this window cannot be read now.';
    const begins = told.starts[window];
    const ends = told.starts[window + 1] ?? told.to;
    const length = Date.parse(ends) - Date.parse(begins);
    const share = length > 0 ? Math.floor((bucket.covered_ms * 10000) / length) / 100 : 0;
    const inUtc = (text) => (/\.000Z$/.test(text) ? page.inUtc(text) : text.replace('T', ' ').replace('Z', ' UTC'));
    const local = page.local(begins);
    const name = all('.lane [role="rowheader"]')[lane]?.textContent ?? '';
    return `${name}: ${inUtc(begins)} to ${inUtc(ends)}${local ? ` (from ${local})` : ''}: `
      + `${share.toFixed(2)} % covered (${page.duration(bucket.covered_ms)}), `
      + `${page.grouped(bucket.recordings)} recording${bucket.recordings === 1 ? '' : 's'}, ${page.grouped(bucket.pending)} pending`;
  };

  const tell = async (lane, window) => {
    const mine = part;
    const told = await load();
    if (mine !== part || moved !== null) return null;
    const text = words(told, lane, window);
    say(text);
    return text;
  };

  const mark = (lane, window) => {
    for (const path of all('.track .window')) path.remove();
    const track = all('.lane .track')[lane];
    if (track === undefined) return;
    const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    path.setAttribute('class', 'window');
    path.setAttribute('d', `M${window} 1H${window + 1}V29H${window}Z`);
    track.append(path);
  };

  const put = async (lane, window) => {
    const slider = find('#window');
    if (slider === null) return;
    at = { lane: clamp(lane, 0, Math.max(0, all('.lane').length - 1)), window: clamp(window, 0, Math.max(0, count() - 1)) };
    slider.value = String(at.window);
    mark(at.lane, at.window);
    const text = await tell(at.lane, at.window);
    if (text !== null) slider.setAttribute('aria-valuetext', text);
  };

  const bounds = () => {
    const { from, to } = seen();
    const unit = (to - from) / Math.max(1, count());
    return { from: Math.floor(from + at.window * unit), to: Math.floor(from + (at.window + 1) * unit) };
  };

  const unitOf = (ms, unit) => {
    const time = new Date(ms);
    const parts = [time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate(), time.getUTCHours()];
    const place = ['y', 'm', 'd', 'h'].indexOf(unit);
    const begin = [parts[0], 0, 1, 0];
    for (let n = 0; n <= place; n += 1) begin[n] = parts[n];
    const end = [...begin];
    end[place] += 1;
    return { from: Date.UTC(...begin), to: Math.min(Date.UTC(...end), LATEST) };
  };

  const step = (name) => {
    const link = find(`a[data-step="${name}"]`);
    if (link !== null) go(link.href);
  };

  const onKey = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const share = (at.window + 0.5) / Math.max(1, count());
    const act = {
      ArrowUp: () => put(at.lane - 1, at.window),
      ArrowDown: () => put(at.lane + 1, at.window),
      '+': () => zoom(0.5, share),
      '=': () => zoom(0.5, share),
      '-': () => zoom(2, share),
      a: () => step('all'),
      Enter: () => { const { from, to } = bounds(); const alone = fitted(from, to); go(over(alone.from, alone.to)); },
    }[event.key]
      ?? (event.shiftKey ? { ArrowLeft: () => step('earlier'), ArrowRight: () => step('later') }[event.key] : null)
      ?? (['h', 'd', 'm', 'y'].includes(event.key)
        ? () => { const whole = unitOf(bounds().from, event.key); go(over(whole.from, whole.to)); }
        : null);
    if (!act) return;
    event.preventDefault();
    touchedMs = Date.now();
    act();
  };

  const onWheel = (event) => {
    const share = shareAt(event);
    // A page that is scrolled past the lanes is not held up by them: the pointer has to have moved there first.
    if (share === null || !isArmed) return;
    event.preventDefault();
    const scale = [1, 16, 400][event.deltaMode] ?? 1;
    const { from, to } = moved ?? seen();
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const by = (sideways * scale * (to - from)) / Math.max(1, find('.track').clientWidth || find('.track').getBoundingClientRect().width);
      move(from + by, to + by);
    } else {
      zoom(Math.exp(clamp(event.deltaY * scale, -400, 400) * 0.003), share);
    }
  };

  let drag = null;

  const laneOf = (target) => all('.lane').indexOf(target.closest?.('.lane'));

  const onDown = (event) => {
    const share = shareAt(event);
    if (event.button !== 0 || share === null || laneOf(event.target) < 0 || event.target.closest('a') !== null) return;
    drag = { id: event.pointerId, x: event.clientX, share, picks: event.shiftKey, began: moved ?? seen(), isMoving: false, lane: laneOf(event.target), box: null };
  };

  const onMove = (event) => {
    isArmed = true;
    const share = shareAt(event);
    if (drag === null || event.pointerId !== drag.id) {
      const lane = laneOf(event.target);
      if (share !== null && lane >= 0 && moved === null) tell(lane, Math.min(count() - 1, Math.floor(share * count())));
      return;
    }
    if (!drag.isMoving && Math.abs(event.clientX - drag.x) < 4) return;
    const chart = find('#chart');
    if (!drag.isMoving) {
      drag.isMoving = true;
      chart.setPointerCapture(event.pointerId);
    }
    const box = find('.track').getBoundingClientRect();
    const { from, to } = drag.began;
    if (!drag.picks) {
      const by = ((drag.x - event.clientX) * (to - from)) / box.width;
      move(from + by, to + by);
      return;
    }
    drag.end = clamp((event.clientX - box.left) / box.width, 0, 1);
    drag.box ??= chart.appendChild(Object.assign(document.createElement('div'), { className: 'picked' }));
    const left = Math.min(drag.share, drag.end);
    drag.box.style.left = `${box.left - chart.getBoundingClientRect().left + left * box.width}px`;
    drag.box.style.width = `${Math.abs(drag.end - drag.share) * box.width}px`;
  };

  const onUp = (event) => {
    if (drag === null || event.pointerId !== drag.id) return;
    const { isMoving, picks, share, end, began, lane, box } = drag;
    drag = null;
    box?.remove();
    if (event.type === 'pointercancel') { restore(); return; }
    if (!isMoving) {
      if (lane < 0) return;
      find('#window')?.focus({ preventScroll: true });
      put(lane, Math.floor(share * count()));
    } else if (picks) {
      const length = began.to - began.from;
      const chosen = fitted(began.from + Math.min(share, end) * length, began.from + Math.max(share, end) * length);
      go(over(chosen.from, chosen.to));
    } else {
      settle();
    }
  };

  // A link to another view of this page changes the part alone.
  const onClick = (event) => {
    const link = event.target.closest('a[href]');
    if (link === null || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (link.hasAttribute('download') || link.pathname !== '/coverage' || link.hash !== '') return;
    event.preventDefault();
    go(link.href);
  };

  const ready = () => {
    const chart = find('#chart');
    const cursor = find('#cursor');
    part.addEventListener('click', onClick);
    if (chart === null || cursor === null) return;
    cursor.hidden = false;
    chart.addEventListener('wheel', onWheel, { passive: false });
    chart.addEventListener('pointerdown', onDown);
    chart.addEventListener('pointermove', onMove);
    chart.addEventListener('pointerup', onUp);
    chart.addEventListener('pointercancel', onUp);
    chart.addEventListener('pointerleave', () => { if (at.window !== null && moved === null) put(at.lane, at.window); });
    const slider = find('#window');
    slider.addEventListener('keydown', onKey);
    slider.addEventListener('input', () => { touchedMs = Date.now(); put(at.lane, Number(slider.value)); });
    slider.addEventListener('focus', () => put(at.lane, at.window ?? Number(slider.value)));
    say('Point at a lane, or move the slider, to read a window.');
  };

  // What is shown up to now goes on: not while somebody is at it, and not often.
  const refresh = () => {
    const active = document.activeElement;
    const isBusy = part.contains(active) && active.matches('input:not(#window), select');
    const nowMs = Date.now();
    if (document.hidden || isBusy || moved !== null || drag !== null) return;
    if (nowMs - refreshedMs < REFRESH_MS || nowMs - touchedMs < REFRESH_MS / 3) return;
    refreshedMs = nowMs;
    go(location.href, { push: false, quiet: true });
  };

  let through = document.querySelector('[data-field="complete_through"]')?.dataset.value;
  document.addEventListener('focus:status', (event) => {
    if (event.detail.complete_through === through) return;
    if (part.dataset.goesOn !== 'true') return;
    through = event.detail.complete_through;
    refresh();
  });
  document.addEventListener('focus:outage', refresh);
  window.addEventListener('popstate', () => go(location.href, { push: false }));
  window.addEventListener('scroll', () => { isArmed = false; }, { passive: true });
  ready();
})();
