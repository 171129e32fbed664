// What is seen is in the address: for somebody else, for the way back, and without scripts.
import { sameAsApi, cutOff } from '../checks.mjs';
import { pages } from '../pages.mjs';
import { until } from '../site.mjs';
import { visit } from '../visitor.mjs';

/** What a page shows below its header, without what the viewer's zone and the moment add. */
const content = (page) => page.evaluate(() => {
  const copy = document.querySelector('main').cloneNode(true);
  copy.querySelectorAll('.local, [data-field], [data-renew], [hidden]').forEach((element) => element.remove());
  return copy.textContent.replace(/\s+/g, ' ').trim();
});

const sameForOthers = async (browser) => {
  const one = await visit(browser);
  const other = await visit(browser);
  for (const { name, path } of await pages()) {
    await until(`${name} is the same for somebody else`, async () => {
      await one.go(path);
      await other.go(new URL(one.page.url()).pathname + new URL(one.page.url()).search);
      const [mine, theirs] = [await content(one.page), await content(other.page)];
      return mine === theirs ? undefined : `${mine}\n  or\n  ${theirs}`;
    });
    one.quiet(name);
    other.quiet(`${name}, in another browser`);
  }
  await one.close();
  await other.close();
};

const backAndForward = async (browser) => {
  const visitor = await visit(browser);
  const { page } = visitor;
  await visitor.go('/');
  const seen = [];
  for (const name of ['Recordings', 'Coverage', 'Outages']) {
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();
    await page.waitForLoadState();
    seen.push({ url: page.url(), title: await page.title() });
  }
  const at = async ({ url, title }) => {
    if (page.url() !== url || await page.title() !== title) {
      throw new Error(`${page.url()} ${await page.title()} instead of ${url} ${title}`);
    }
    await sameAsApi(page, `${url}, come back to`);
  };
  await page.goBack();
  await at(seen[1]);
  await page.goBack();
  await at(seen[0]);
  await page.goForward();
  await at(seen[1]);
  visitor.quiet('back and forward');
  await visitor.close();
};

const withoutScripts = async (browser, site) => {
  const visitor = await visit(browser, { javaScriptEnabled: false });
  const { page } = visitor;
  for (const { name, path } of await pages()) {
    await visitor.go(path);
    const words = await page.locator('main').innerText();
    if (await page.locator('main h1').count() !== 1 || words.trim() === '') throw new Error(`${name} says nothing`);
    await sameAsApi(page, `${name}, without scripts, asked for at this moment`).catch(async () => {
      // It stands still, so it is asked for once more.
      await visitor.go(path);
      await sameAsApi(page, `${name}, without scripts`);
    });
    if (await page.locator('#pause').isVisible()) throw new Error(`${name} can be paused without a script`);
    const wrong = await cutOff(page);
    if (wrong.length > 0) throw new Error(`${name}, without scripts: ${wrong.join('\n')}`);
    await page.screenshot({ path: `${site.pictures}/scripts-off/${name}.png`, fullPage: true });
    visitor.quiet(`${name}, without scripts`);
  }
  await visitor.close();
};

export const scene = async (browser, site) => {
  await sameForOthers(browser);
  await backAndForward(browser);
  await withoutScripts(browser, site);
};
