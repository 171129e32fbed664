// A page of another site can neither read nor change, also where the person is signed in here.
import { createServer } from 'node:http';

import { signIn } from '../sign-in.mjs';
import { visit } from '../visitor.mjs';

/** What the page of the other site tries; each gives what it got hold of, or nothing. */
const attack = async (victim) => {
  const got = [];
  const attempt = async (name, work) => {
    const found = await Promise.race([
      work().catch(() => undefined),
      new Promise((done) => { setTimeout(done, 3_000); }),
    ]);
    if (found !== undefined) got.push(`${name}: ${String(found).slice(0, 100)}`);
  };
  const loaded = (element, source) => new Promise((done) => {
    element.onload = () => done('loaded');
    element.onerror = () => done(undefined);
    element.src = source;
    document.body.append(element);
  });
  const read = ['/', '/recordings', '/api/v1/status', '/api/v1/recordings', '/page/live.js'];
  for (const path of read) {
    for (const credentials of ['include', 'omit']) {
      await attempt(`fetch ${path} ${credentials}`, async () => (await fetch(victim + path, { credentials })).text());
    }
    await attempt(`no-cors ${path}`, async () => {
      const answer = await fetch(victim + path, { mode: 'no-cors', credentials: 'include' });
      return (await answer.text()) || undefined;
    });
    await attempt(`script ${path}`, () => loaded(document.createElement('script'), victim + path));
    await attempt(`image ${path}`, () => loaded(new Image(), victim + path));
  }
  await attempt('events', () => new Promise((done) => {
    const events = new EventSource(`${victim}/api/v1/events`, { withCredentials: true });
    events.onopen = () => { events.close(); done('opened'); };
    events.onerror = () => { events.close(); done(undefined); };
  }));
  await attempt('frame', () => new Promise((done) => {
    const frame = document.createElement('iframe');
    frame.onload = () => {
      try { done(frame.contentDocument.title); } catch { done(undefined); }
    };
    frame.src = victim;
    document.body.append(frame);
  }));
  const changes = [
    ['/api/v1/jobs', '{"kind":"scan"}'], ['/api/v1/scan', ''], ['/api/v1/alerts/silences', '{"rule":"catalog_down","for_ms":60000}'],
  ];
  for (const [path, body] of changes) {
    for (const type of ['text/plain', 'application/json']) {
      const init = { method: 'POST', credentials: 'include', headers: { 'content-type': type }, body };
      await attempt(`post ${path} ${type}`, async () => ((await fetch(victim + path, init)).ok ? 'taken' : undefined));
      await attempt(`no-cors post ${path} ${type}`, async () => {
        const answer = await fetch(victim + path, { ...init, mode: 'no-cors' });
        return (await answer.text()) || undefined;
      });
    }
  }
  return got;
};

/** A form that another site sends in the person's name; what the person then sees. */
const forged = async (page, origin, victim, path, fields) => {
  await page.goto(origin);
  await page.evaluate(({ action, values }) => {
    const form = document.createElement('form');
    form.method = 'post';
    form.action = action;
    for (const [name, value] of Object.entries(values)) {
      const input = document.createElement('input');
      Object.assign(input, { type: 'hidden', name, value });
      form.append(input);
    }
    document.body.append(form);
  }, { action: victim + path, values: fields });
  const answered = page.waitForResponse((response) => response.request().method() === 'POST');
  // The next form is sent from the other site again, once this one has led away.
  const led = page.waitForEvent('load');
  await page.evaluate(() => document.forms[0].submit());
  const [answer] = await Promise.all([answered, led]);
  return answer.status();
};

const FORMS = [
  ['/sign-out', {}], ['/sign-out', { csrf: 'guessed' }], ['/sign-in', { token: 'guessed' }],
  ['/api/v1/jobs', { kind: 'scan' }], ['/held/approve', { csrf: 'guessed', root: 'x', through: '1' }],
  ['/jobs', { csrf: 'guessed', kind: 'scan' }],
];

export const scene = async (browser, site) => {
  const other = createServer((_, answer) => {
    answer.setHeader('content-type', 'text/html');
    answer.end('<!doctype html><title>another site</title>');
  });
  await new Promise((done) => { other.listen(0, '127.0.0.1', done); });
  const { port } = other.address();
  try {
    // The first is of the same site and another origin, the second of another site.
    for (const name of ['127.0.0.1', 'localhost']) {
      const visitor = await visit(browser);
      await signIn(visitor, site);
      const { items: before } = await site.api('/api/v1/jobs');
      const { page } = visitor;
      const origin = `http://${name}:${port}/`;
      await page.goto(origin);
      const got = await page.evaluate(attack, site.origin);
      if (got.length > 0) throw new Error(`${origin} got hold of\n  ${got.join('\n  ')}`);
      for (const [path, fields] of FORMS) {
        const status = await forged(page, origin, site.origin, path, fields);
        if (status < 400) throw new Error(`${origin} sent a form to ${path}: ${status}`);
      }
      const { items: after } = await site.api('/api/v1/jobs');
      if (after.length !== before.length) throw new Error(`${origin} has started a job`);
      // The person is signed in as before.
      await visitor.go('/');
      await page.getByRole('button', { name: 'Sign out' }).waitFor();
      await visitor.close();
    }
  } finally {
    other.close();
    other.closeAllConnections();
  }
};
