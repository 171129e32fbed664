// A page that stays open grows neither itself nor the server. FOCUS_BROWSER_MINUTES says how long it is looked at.
import { readFileSync } from 'node:fs';

import { visit } from '../visitor.mjs';

const MINUTES = Number(process.env.FOCUS_BROWSER_MINUTES || 1);

/** What a tab may grow by, whatever the time. What it keeps of the last hour is within that. */
const TAB_BYTES_MAX = 4 * 1024 * 1024;
const NODES_MAX = 2_000;
const LISTENERS_MAX = 50;

/** What the server may grow by: its readers' caches fill in the first minutes. */
const SERVER_BYTES_MAX = 32 * 1024 * 1024;

const serverBytes = (pid) => {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^RssAnon:\s+(\d+) kB$/m);
  return Number(line[1]) * 1024;
};

const measure = async (protocol, site) => {
  await protocol.send('HeapProfiler.collectGarbage');
  const { metrics } = await protocol.send('Performance.getMetrics');
  const of = (name) => metrics.find((metric) => metric.name === name).value;
  return {
    tab: of('JSHeapUsedSize'), nodes: of('Nodes'), listeners: of('JSEventListeners'), server: serverBytes(site.pid),
  };
};

const told = ({ tab, nodes, listeners, server }) =>
  `tab ${(tab / 1024).toFixed(0)} KiB, ${nodes} nodes, ${listeners} listeners; server ${(server / 1048576).toFixed(1)} MiB`;

export const scene = async (browser, site) => {
  const visitor = await visit(browser);
  await visitor.go('/');
  const protocol = await visitor.context.newCDPSession(visitor.page);
  await protocol.send('Performance.enable');
  const move = async (seconds) => {
    for (let second = 0; second < seconds; second += 1) {
      await site.order('land 2');
      await visitor.page.waitForTimeout(1_000);
    }
  };
  // What is made once is made by then.
  await move(10);
  const first = await measure(protocol, site);
  console.log(`after 10 s: ${told(first)}`);
  let last = first;
  for (let minute = 1; minute <= MINUTES; minute += 1) {
    await move(55);
    last = await measure(protocol, site);
    console.log(`minute ${minute}: ${told(last)}`);
  }
  const grown = [
    ['the tab', last.tab - first.tab, TAB_BYTES_MAX], ['nodes', last.nodes - first.nodes, NODES_MAX],
    ['listeners', last.listeners - first.listeners, LISTENERS_MAX],
    ['the server', last.server - first.server, SERVER_BYTES_MAX],
  ].filter(([, by, most]) => by > most);
  if (grown.length > 0) throw new Error(grown.map(([what, by]) => `${what} grew by ${by}`).join(', '));
  visitor.quiet('a page that stays open');
};
