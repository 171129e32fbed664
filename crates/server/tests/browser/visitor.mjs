// A person before a browser, and everything that the browser has to complain about meanwhile.
import { site } from './site.mjs';

// What a page must not see: it tells of breaches of the policy, and remembers the streams of events.
const witness = () => {
  document.addEventListener('securitypolicyviolation', (event) => {
    console.error(`the policy forbids ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
  });
  const Plain = window.EventSource;
  window.focusStreams = [];
  window.EventSource = class extends Plain {
    constructor(...args) {
      super(...args);
      window.focusStreams.push(this);
    }
  };
};

/** Opens a browser window of its own, without what others in other windows have. */
export const visit = async (browser, options = {}) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const complaints = [];
  await context.addInitScript(witness);
  const page = await context.newPage();
  page.on('console', (said) => {
    if (said.type() === 'error' || said.type() === 'warning') complaints.push(`console: ${said.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`a script fails: ${error.stack ?? error}`));
  page.on('dialog', (dialog) => { complaints.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== site.origin) complaints.push(`asks another host: ${url}`);
  });
  page.on('requestfailed', (request) => {
    // What the browser gives up because the page is left, or its stream closed, is no complaint. What it blocks
    // has another name.
    if (request.failure()?.errorText !== 'net::ERR_ABORTED') {
      complaints.push(`not answered: ${request.url()}: ${request.failure()?.errorText}`);
    }
  });
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
  });
  return {
    page,
    context,
    /** Goes to a path of the site. What is not there is a complaint, unless it is wanted. */
    async go(path, wanted = 200) {
      const before = complaints.length;
      const response = await page.goto(`${site.origin}${path}`, { waitUntil: 'load' });
      if (response?.status() !== wanted) throw new Error(`${path}: ${response?.status()}`);
      if (wanted !== 200) complaints.splice(before);
    },
    /** Nothing was wrong so far; `where` is for people. */
    quiet(where) {
      if (complaints.length > 0) {
        throw new Error(`${where}:\n  ${complaints.splice(0).join('\n  ')}`);
      }
    },
    close() { return context.close(); },
  };
};
