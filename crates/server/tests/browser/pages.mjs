// The pages that every walk goes to. A new page needs an entry here and nothing else.
import { site } from './site.mjs';

const first = async (path, of) => {
  const { items } = await site.api(path);
  return items.length === 0 ? [] : [of(items[0])];
};

/** Name of the pictures, and where the page is: a path, or what finds the paths that there are now. */
const PAGES = [
  ['now', '/'],
  ['coverage', '/coverage'],
  ['recordings', '/recordings'],
  ['unrecognised', '/unrecognised'],
  ['outages', '/outages'],
  ['drift', '/drift'],
  ['held', '/held'],
  ['alerts', '/alerts'],
  ['drills', '/drills'],
  ['sign-in', '/sign-in'],
];

/** What is at the paths now: `{ name, path }` for each page. */
export const pages = async () => {
  const all = [];
  for (const [name, where] of PAGES) {
    const paths = typeof where === 'string' ? [where] : await where();
    paths.forEach((path, n) => all.push({ name: n === 0 ? name : `${name}-${n + 1}`, path }));
  }
  return all;
};

export { first };
