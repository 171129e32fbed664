// What is true of every page in every state. Each check gives what is wrong, in words.
import { site, until } from './site.mjs';
import { axe } from './tools.mjs';

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Fields of the header. Other elements may show further ones of the status. */
const FIELDS = [
  'catalog_state', 'recordings', 'pending', 'lag_ms', 'unrecognised', 'held', 'complete_through',
];

/** Milliseconds that a told lag may be old: events tell of it once a second. */
const LAG_AGE_MAX = 2_500;

/** What axe finds. */
export const accessible = async (page) => {
  await page.evaluate(axe);
  const found = await page.evaluate(async (values) => {
    const { violations } = await window.axe.run(document, {
      runOnly: { type: 'tag', values }, resultTypes: ['violations'], preload: false,
    });
    return violations.map(({ id, help, nodes }) => {
      const places = nodes.slice(0, 3).map(({ html, any }) => `${html.slice(0, 200)} ${any[0]?.message ?? ''}`);
      return `${id}: ${help} (${nodes.length}): ${places.join(' | ')}`;
    });
  }, RULES);
  return found;
};

/** What does not fit into the window's width, or is cut off by a box. */
export const cutOff = (page) => page.evaluate(() => {
  const wrong = [];
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) wrong.push(`the page is ${scrollWidth} wide in a window of ${clientWidth}`);
  const scrolls = (element) => {
    for (let at = element.parentElement; at !== null; at = at.parentElement) {
      if (['auto', 'scroll'].includes(getComputedStyle(at).overflowX)) return true;
    }
    return false;
  };
  // What is for screen readers alone is clipped away.
  const unseen = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      if (getComputedStyle(at).clipPath === 'inset(50%)') return true;
    }
    return false;
  };
  const told = (element) => element.outerHTML.slice(0, 120).replaceAll('\n', ' ');
  for (const element of document.body.querySelectorAll('*')) {
    if (!element.checkVisibility({ visibilityProperty: true }) || element.closest('.skip') || unseen(element)) continue;
    const hides = ['hidden', 'clip'].includes(getComputedStyle(element).overflowX);
    if (hides && !(element instanceof SVGElement) && element.scrollWidth > element.clientWidth + 1) {
      wrong.push(`cut off at ${element.clientWidth} of ${element.scrollWidth}: ${told(element)}`);
    }
    const { left, right, width } = element.getBoundingClientRect();
    if (width > 0 && (right > clientWidth + 1 || left < -1) && !scrolls(element)) {
      wrong.push(`reaches from ${left} to ${right} in a window of ${clientWidth}: ${told(element)}`);
    }
  }
  return wrong.slice(0, 8);
});

/** What names and metadata have made of the page: markup of theirs, or characters that hide or turn the line around. */
export const believed = (page) => page.evaluate(() => {
  const wrong = [];
  const theirs = 'img, iframe, object, embed, base, [onerror], [onload], style, script:not([src^="/page/"])';
  for (const element of document.querySelectorAll(theirs)) wrong.push(`an element of theirs: ${element.outerHTML.slice(0, 120)}`);
  for (const { href } of document.querySelectorAll('a[href]')) {
    if (!['http:', 'https:'].includes(new URL(href).protocol)) wrong.push(`a link of theirs: ${href.slice(0, 120)}`);
  }
  const hides = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u;
  const found = document.documentElement.textContent.match(hides);
  if (found !== null) wrong.push(`U+${found[0].codePointAt(0).toString(16)} after ${found.input.slice(Math.max(0, found.index - 60), found.index)}`);
  return wrong.slice(0, 8);
});

/** What the keyboard does not reach, or reaches without showing it. */
export const keyboard = async (page) => {
  const count = await page.evaluate(() => {
    // What is told anew meanwhile would be another element.
    const pause = document.getElementById('pause');
    if (pause?.getAttribute('aria-pressed') === 'false') pause.click();
    document.activeElement?.blur();
    const able = 'a[href], button, input:not([type="hidden"]), select, textarea, summary, [tabindex="0"]';
    window.focusStops = [...document.querySelectorAll(able)].filter((element) =>
      !element.disabled && element.checkVisibility({ visibilityProperty: true }));
    window.focusReached = new Set();
    window.focusWrong = [];
    window.focusSeen = ({ target }) => {
      if (window.focusReached.has(target)) return;
      window.focusReached.add(target);
      const told = target.outerHTML.slice(0, 120).replaceAll('\n', ' ');
      const style = getComputedStyle(target);
      const ringed = style.outlineStyle !== 'none' && Number.parseFloat(style.outlineWidth) >= 2;
      if (!ringed && style.boxShadow === 'none') window.focusWrong.push(`has the focus and does not show it: ${told}`);
    };
    document.addEventListener('focusin', window.focusSeen);
    // A field for a time has a stop for each of its parts.
    const stops = { date: 4, month: 3, 'datetime-local': 7 };
    return window.focusStops.reduce((sum, element) => sum + (stops[element.type] ?? 1), 0);
  });
  for (let n = 0; n < count + 8; n += 1) await page.keyboard.press('Tab');
  const wrong = await page.evaluate(() => {
    // Of radio buttons with one name the keyboard stops at one.
    const radio = (element) => element.type === 'radio' && element.name;
    const reached = new Set([...window.focusReached].map(radio).filter(Boolean));
    const rest = window.focusStops.filter((element) =>
      !window.focusReached.has(element) && element.isConnected && !reached.has(radio(element)));
    document.removeEventListener('focusin', window.focusSeen);
    document.getElementById('pause')?.click();
    return [...window.focusWrong, ...rest.map((element) => `the keyboard does not reach ${element.outerHTML.slice(0, 120)}`)];
  });
  return wrong.slice(0, 8);
};

/** The fields that a page shows, with their raw values. */
export const shown = (page) => page.evaluate(() =>
  [...document.querySelectorAll('[data-field]')].map((element) => [element.dataset.field, element.dataset.value]));

const raw = (value) => (value === null || value === undefined ? '' : String(value));

const differs = (field, value, before, after) => {
  if (!(field in after)) return `${field} is no field of the status`;
  if (field === 'lag_ms') {
    const lag = Number(value);
    const fits = value !== '' && lag <= after.lag_ms && lag >= Math.max(0, before.lag_ms - LAG_AGE_MAX);
    return fits ? undefined : `lag_ms is ${value}, and ${before.lag_ms} to ${after.lag_ms} in the API`;
  }
  if (value === raw(before[field]) || value === raw(after[field])) return undefined;
  return `${field} is ${value}, and ${raw(after[field])} in the API`;
};

/** Waits until every number of the page is the API's at that moment: both are moving. */
export const sameAsApi = async (page, where) => {
  await until(`the numbers of ${where} are the API's`, async () => {
    const before = await site.status();
    const values = await shown(page);
    const after = await site.status();
    const missing = FIELDS.filter((field) => !values.some(([name]) => name === field));
    if (missing.length > 0) return `${missing} are not shown`;
    return values.map(([field, value]) => differs(field, value, before, after)).find(Boolean);
  });
};
