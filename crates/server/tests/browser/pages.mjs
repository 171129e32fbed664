// The pages that every walk goes to. A new page needs an entry here and nothing else.
import { site } from './site.mjs';

/** Paths of the first `count` items that a call of the API lists. */
const listed = async (call, count, path) => {
  const { items } = await site.api(call);
  return items.slice(0, count).map(path);
};

const recording = ({ uuid }) => `/recordings/${encodeURIComponent(uuid)}`;

/** Name of the pictures, and where the page is: a path, or what finds the paths that there are now. */
const PAGES = [
  ['now', '/'],
  ['coverage', '/coverage'],
  ['coverage-by-station', '/coverage?by=station'],
  ['recordings', '/recordings'],
  ['recordings-found', '/recordings?text=rec-0&state=catalogued&state=pending&order=start'],
  ['recording', async () => [
    ...await listed('/api/v1/recordings?text=rec-', 1, recording),
    // Those that somebody has made up to break a page.
    ...await listed('/api/v1/recordings?text=img%20src', 7, recording),
  ]],
  ['unrecognised', '/unrecognised'],
  ['outages', '/outages'],
  ['outage', () => listed('/api/v1/outages', 1, ({ id }) => `/outages/${id}`)],
  ['drift', '/drift'],
  ['held', '/held'],
  ['alerts', '/alerts'],
  ['drills', '/drills'],
  ['drill', () => listed('/api/v1/drills', 1, ({ id }) => `/drills/${encodeURIComponent(id)}`)],
  ['sign-in', '/sign-in'],
];

/** What is at the paths now: `{ name, path }` for each page, or at most so many of each kind. */
export const pages = async ({ most = Infinity } = {}) => {
  const all = [];
  for (const [name, where] of PAGES) {
    const paths = typeof where === 'string' ? [where] : await where();
    paths.slice(0, most).forEach((path, n) => all.push({ name: n === 0 ? name : `${name}-${n + 1}`, path }));
  }
  return all;
};
