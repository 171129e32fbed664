// The numbers of every page through an outage and a recovery.
import { sameAsApi } from '../checks.mjs';
import { pages } from '../pages.mjs';
import { until } from '../site.mjs';
import { visit } from '../visitor.mjs';

const value = (page, field) => page.evaluate(
  (name) => document.querySelector(`[data-field="${name}"]`).dataset.value, field,
);

const banner = (page, name) => page.evaluate(
  (kind) => [...document.querySelectorAll(`[data-banner="${kind}"]`)].some((one) => one.checkVisibility()), name,
);

const untilBanner = (page, name, wanted) => until(`the banner ${name} is ${wanted}`, async () =>
  ((await banner(page, name)) === wanted ? undefined : `it is ${!wanted}`));

const untilShown = (page, field, wanted) => until(`${field} is shown as ${wanted}`, async () => {
  const there = await value(page, field);
  return there === String(wanted) ? undefined : `it is ${there}`;
});

/** Every page, asked for anew, has the numbers of the API. */
const walk = async (visitor, state) => {
  for (const { name, path } of await pages()) {
    await visitor.go(path);
    await sameAsApi(visitor.page, `${name}, ${state}`);
    visitor.quiet(`${name}, ${state}`);
  }
};

/** One page that stays open sees the outage, what lands in it, and the recovery. */
const staysOpen = async (visitor, site) => {
  const { page } = visitor;
  await page.evaluate(() => { window.focusSame = true; });
  await site.order('land 5');
  await sameAsApi(page, 'a page that stays open, in step');
  await site.away();
  await untilShown(page, 'catalog_state', 'down');
  await untilBanner(page, 'catalog', true);
  await until('the change of state is announced', async () => {
    const said = await page.locator('#announce').textContent();
    return said.includes('down') ? undefined : `it says ${said}`;
  });
  await site.order('land 7');
  await site.untilStatus('pending', 7);
  await sameAsApi(page, 'a page that stays open, down');
};

const comesBack = async (visitor, site) => {
  const { page } = visitor;
  await site.back();
  await untilShown(page, 'catalog_state', 'in_step');
  await untilShown(page, 'pending', 0);
  await untilBanner(page, 'catalog', false);
  await sameAsApi(page, 'a page that stays open, back');
  const same = await page.evaluate(() => window.focusSame === true);
  if (!same) throw new Error('the page has loaded anew');
  visitor.quiet('a page that stays open');
};

export const scene = async (browser, site) => {
  const walker = await visit(browser);
  const stays = await visit(browser);
  await walk(walker, 'in step');
  await stays.go('/');
  await staysOpen(stays, site);
  await walk(walker, 'down');
  await comesBack(stays, site);
  await walk(walker, 'back');
};
