// The list of recordings: the search runs as one types, and keys go through the rows. Without this script the form
// is sent by its button, and each row is a link. On the page of one recording: the button that copies its path.
'use strict';

(() => {
  const PAUSE_MS = 250;
  const form = document.getElementById('search');
  const results = document.getElementById('results');

  if (form !== null && results !== null) {
    let timer = 0;
    let asking = null;

    // What the form asks for. The field and value of the metadata go with its button only: half of them is no filter.
    const asked = () => {
      const query = new URLSearchParams();
      for (const [name, value] of new FormData(form)) {
        if (name.startsWith('meta_')) continue;
        if (value !== '' || name.startsWith('meta.')) query.append(name, value);
      }
      const text = query.toString();
      return text === '' ? form.action : `${form.action}?${text}`;
    };

    const keys = () => { for (const hint of results.querySelectorAll('.keys')) hint.hidden = false; };

    const told = () => {
      const found = document.getElementById('found');
      const empty = results.querySelector('.empty');
      window.focusPage?.announce((found ?? empty)?.textContent.trim().replace(/\s+/g, ' ') ?? '');
    };

    const problem = (page) => {
      const words = document.createElement('p');
      words.className = 'empty';
      words.textContent = page.querySelector('main p')?.textContent ?? 'The server did not answer as expected.';
      results.replaceChildren(words);
    };

    const search = async () => {
      asking?.abort();
      const mine = new AbortController();
      asking = mine;
      results.setAttribute('aria-busy', 'true');
      try {
        const answer = await fetch(asked(), { headers: { Accept: 'text/html' }, signal: mine.signal });
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        const part = page.getElementById('results');
        if (answer.ok && part !== null) {
          results.replaceChildren(...part.childNodes);
          window.focusPage?.localise(results);
          keys();
          // One place in the history for the whole search: back leads to where one came from.
          history.replaceState(null, '', answer.url);
        } else {
          problem(page);
        }
        told();
      } catch (error) {
        // Another search follows this one, or the server is away: the page says that elsewhere.
        if (error.name !== 'AbortError') window.focusPage?.announce('The server did not answer.');
      } finally {
        if (asking === mine) results.removeAttribute('aria-busy');
      }
    };

    const soon = (pause) => { clearTimeout(timer); timer = setTimeout(search, pause); };
    form.addEventListener('input', (event) => {
      const { name, type } = event.target;
      if (name.startsWith('meta_')) return;
      soon(type === 'search' || type === 'datetime-local' ? PAUSE_MS : 0);
    });

    const rows = () => [...results.querySelectorAll('a.row')];
    const go = (event, row) => { if (row) { event.preventDefault(); row.focus(); } };
    form.elements.text?.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowDown') go(event, rows()[0]);
    });
    // Only where a row has the focus: a letter alone is no key anywhere else.
    results.addEventListener('keydown', (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const all = rows();
      const at = all.indexOf(document.activeElement);
      if (at < 0) return;
      switch (event.key) {
        case 'ArrowDown': case 'j': go(event, all[at + 1]); break;
        case 'ArrowUp': case 'k': go(event, at === 0 && event.key === 'ArrowUp' ? form.elements.text : all[at - 1]); break;
        case 'Home': go(event, all[0]); break;
        case 'End': go(event, all[all.length - 1]); break;
        default:
      }
    });
    keys();
  }

  for (const button of document.querySelectorAll('button[data-copy]')) {
    const name = button.textContent;
    button.hidden = false;
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = 'Copied';
        window.focusPage?.announce('The path is copied.');
      } catch {
        // A page that did not come over a safe connection may not copy: the path is selected instead.
        getSelection().selectAllChildren(button.parentElement.querySelector('.foreign'));
        button.textContent = 'Selected';
        window.focusPage?.announce('The path is selected.');
      }
      setTimeout(() => { button.textContent = name; }, 2000);
    });
  }
})();
