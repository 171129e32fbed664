// The server under test, and what the Rust test does to it when it is asked: `crates/server/tests/it/browser.rs`.
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const { address, token, pid, kind, pictures } = JSON.parse(process.env.FOCUS_BROWSER_SITE);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Waits for a state: `check` gives nothing once it is there, else words about what is in the way. */
export const until = async (what, check, seconds = 30) => {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const wrong = await check();
    if (wrong === undefined) return;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}: ${wrong}`);
    await sleep(50);
  }
};

export const site = {
  origin: `http://${address}`,
  token,
  pid,
  /** `full` or `empty`. */
  kind,
  /** The folder of the screenshots. */
  pictures,

  /** An answer of the API. */
  async api(path, { method = 'GET', body } = {}) {
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    const answer = await fetch(`${this.origin}${path}`, { method, headers, body });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  },

  status() {
    return this.api('/api/v1/status');
  },

  /** Has the server do a job, to its end. */
  async job(what) {
    const { id } = await this.api('/api/v1/jobs', { method: 'POST', body: JSON.stringify(what) });
    await until(`the job ${what.kind} has ended`, async () => {
      const { state } = await this.api(`/api/v1/jobs/${id}`);
      return ['queued', 'running'].includes(state) ? state : undefined;
    }, 60);
  },

  /** Has the Rust test do something: `away`, `back`, `land N`, `lose N`, `drill`. */
  async order(words) {
    process.stdout.write(`order: ${words}\n`);
    const { value } = await answers.next();
    if (value !== 'done') throw new Error(`${words}: ${value}`);
  },

  /** Waits until a field of the status has this value. */
  async untilStatus(field, wanted) {
    await until(`${field} is ${wanted}`, async () => {
      const there = (await this.status())[field];
      return there === wanted ? undefined : `it is ${there}`;
    }, 60);
  },

  async away() {
    await this.order('away');
    await this.untilStatus('catalog_state', 'down');
  },

  async back() {
    await this.order('back');
    await this.untilStatus('catalog_state', 'in_step');
    await this.untilStatus('pending', 0);
  },
};
