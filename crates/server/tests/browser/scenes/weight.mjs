// What a page weighs without data, and how soon it is painted. The times are printed: a machine with other work to do
// paints later.
import { pages } from '../pages.mjs';
import { visit } from '../visitor.mjs';

/** Bytes of a page with all its files, as they are once they are unpacked. */
const BYTES_MAX = 150_000;

const ROUNDS = 7;

/** A page that is asked for without anything kept from before, in a window that is open. */
const measure = async ({ page, go }, path) => {
  await go(path);
  return page.evaluate(() => new Promise((done) => {
    const look = () => {
      const [entry] = performance.getEntriesByName('first-contentful-paint');
      if (entry === undefined) {
        requestAnimationFrame(look);
        return;
      }
      // The stream of events is not among them: it does not end.
      const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
      const sum = (key) => all.reduce((bytes, one) => bytes + one[key], 0);
      done({ bytes: sum('decodedBodySize'), sent: sum('transferSize'), paint: entry.startTime });
    };
    look();
  }));
};

const most = (rounds, key) => Math.max(...rounds.map((round) => round[key]));

export const scene = async (browser, site) => {
  const visitor = await visit(browser);
  const protocol = await visitor.context.newCDPSession(visitor.page);
  await protocol.send('Network.enable');
  await protocol.send('Network.setCacheDisabled', { cacheDisabled: true });
  await visitor.go('/sign-in');
  console.log('page             bytes    sent  first paint: median, worst');
  const heavy = [];
  for (const { name, path } of await pages()) {
    const rounds = [];
    for (let n = 0; n < ROUNDS; n += 1) rounds.push(await measure(visitor, path));
    const paints = rounds.map(({ paint }) => paint).sort((a, b) => a - b);
    const [bytes, sent] = [most(rounds, 'bytes'), most(rounds, 'sent')];
    const times = `${paints[Math.floor(ROUNDS / 2)].toFixed(0)} ms, ${paints[ROUNDS - 1].toFixed(0)} ms`;
    console.log(`${name.padEnd(14)} ${String(bytes).padStart(7)} ${String(sent).padStart(7)}  ${times}`);
    // With data a page may be heavier: by what a list has on a page.
    if (site.kind === 'empty' && bytes > BYTES_MAX) heavy.push(`${name}: ${bytes} bytes`);
  }
  if (heavy.length > 0) throw new Error(`heavier than ${BYTES_MAX} bytes: ${heavy.join(', ')}`);
  visitor.quiet('the pages');
};
