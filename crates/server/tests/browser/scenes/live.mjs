// What moves can be held, and a page that nobody sees asks for nothing.
import { sameAsApi } from '../checks.mjs';
import { until } from '../site.mjs';
import { visit } from '../visitor.mjs';

const recordings = (page) => page.locator('[data-field="recordings"]').getAttribute('data-value');

const openStreams = (page) => page.evaluate(
  () => window.focusStreams.filter((stream) => stream.readyState !== EventSource.CLOSED).length,
);

const untilStreams = (page, wanted) => until(`${wanted} streams are open`, async () => {
  const there = await openStreams(page);
  return there === wanted ? undefined : `there are ${there}`;
});

/** The browser tells the page that it is hidden, as one in the background is told. */
const hide = (page, hidden) => page.evaluate((is) => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => is });
  document.dispatchEvent(new Event('visibilitychange'));
}, hidden);

/** Lands some while `page` must not show them, and looks until the API has them and a status would have come. */
const landUnseen = async (page, site, why) => {
  const before = await recordings(page);
  const { recordings: had } = await site.status();
  await site.order('land 3');
  await site.untilStatus('recordings', had + 3);
  await page.waitForTimeout(1_500);
  const after = await recordings(page);
  if (after !== before) throw new Error(`${why}, and ${before} became ${after}`);
};

export const scene = async (browser, site) => {
  const { page, go, quiet } = await visit(browser);
  await go('/');
  await untilStreams(page, 1);
  await sameAsApi(page, 'a page before it is held');

  const pause = page.locator('#pause');
  await pause.focus();
  await page.keyboard.press('Enter');
  if (await pause.getAttribute('aria-pressed') !== 'true') throw new Error('the button does not say that it is pressed');
  await untilStreams(page, 0);
  await landUnseen(page, site, 'the page is paused');
  await hide(page, true);
  await hide(page, false);
  await untilStreams(page, 0);
  await page.keyboard.press('Space');
  await untilStreams(page, 1);
  await sameAsApi(page, 'a page that goes on');

  await hide(page, true);
  await untilStreams(page, 0);
  await landUnseen(page, site, 'the page is hidden');
  await hide(page, false);
  await untilStreams(page, 1);
  await sameAsApi(page, 'a page that is seen again');

  await page.reload();
  await untilStreams(page, 1);
  quiet('what moves');
};
