// How every page looks in every state: by axe, by its width, by the keyboard, and as pictures for a person.
import { accessible, believed, cutOff, keyboard } from '../checks.mjs';
import { pages } from '../pages.mjs';
import { signIn } from '../sign-in.mjs';
import { visit } from '../visitor.mjs';

const WIDE = { width: 1280, height: 900 };
/** A small phone. */
const NARROW = { width: 360, height: 740 };
/** A window of 1280 by 1024 at 400 %. */
const ZOOMED = { width: 320, height: 256 };

/** What is not there is told by a page, too. */
const NOT_THERE = { name: 'not-there', path: '/not-there', status: 404 };

const PICTURE_HEIGHT_MAX = 4_000;

const picture = async (page, site, state, name, how) => {
  const { width, height } = page.viewportSize();
  const whole = await page.evaluate(() => document.documentElement.scrollHeight);
  const clip = { x: 0, y: 0, width, height: Math.max(height, Math.min(whole, PICTURE_HEIGHT_MAX)) };
  await page.screenshot({ path: `${site.pictures}/${state}/${name}-${how}.png`, fullPage: true, clip });
};

const look = async (visitor, site, state, { name, path, status }) => {
  const { page } = visitor;
  const wrong = [];
  const add = (where, found) => wrong.push(...found.map((words) => `${where}: ${words}`));
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await visitor.go(path, status);
    add(colorScheme, await accessible(page));
    await picture(page, site, state, name, colorScheme);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  add('wide', await cutOff(page));
  add('wide', await believed(page));
  // What the keyboard reaches, and what fits, is the same in every state but for the words.
  const whole = state === 'in-step' || state === 'empty';
  if (whole) add('keyboard', await keyboard(page));
  await page.setViewportSize(NARROW);
  await visitor.go(path, status);
  add('360 px', await cutOff(page));
  if (whole) add('360 px', await accessible(page));
  await picture(page, site, state, name, 'narrow');
  if (whole) {
    await page.setViewportSize(ZOOMED);
    await visitor.go(path, status);
    add('400 %', await cutOff(page));
  }
  await page.setViewportSize(WIDE);
  return wrong;
};

const walk = async (visitor, site, state) => {
  const wrong = [];
  // Recordings look alike in every state, so in one of them all are looked at.
  const most = state === 'in-step' ? Infinity : 1;
  for (const one of [...await pages({ most }), NOT_THERE]) {
    const found = await look(visitor, site, state, one);
    wrong.push(...found.map((words) => `${one.name}, ${state}, ${words}`));
    visitor.quiet(`${one.name}, ${state}`);
  }
  if (wrong.length > 0) throw new Error(`${wrong.length} are wrong:\n${wrong.join('\n')}`);
};

export const scene = async (browser, site) => {
  const visitor = await visit(browser, { viewport: WIDE, reducedMotion: 'reduce' });
  if (site.kind === 'empty') return walk(visitor, site, 'empty');
  // A drill, an outage, an alert and a verification are there to be looked at.
  await site.order('drill');
  await site.job({ kind: 'verify' });
  await walk(visitor, site, 'in-step');
  await site.order('lose 3');
  await site.untilStatus('held', 3);
  await signIn(visitor, site);
  await walk(visitor, site, 'signed-in');
  await visitor.close();
  const another = await visit(browser, { viewport: WIDE, reducedMotion: 'reduce' });
  await site.away();
  await site.order('land 20');
  await site.untilStatus('pending', 20);
  await walk(another, site, 'away');
  await site.back();
};
