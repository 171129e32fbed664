// What a page weighs without data, and how soon it is painted. The times are printed: a machine with other work to do
// paints later.
import { pages } from '../pages.mjs';
import { visit } from '../visitor.mjs';

/** Bytes of a page with all its files, as they are once they are unpacked. */
const BYTES_MAX = 150_000;

const ROUNDS = 5;

const measure = async (browser, path) => {
  const visitor = await visit(browser);
  let bytes = 0;
  let sent = 0;
  const protocol = await visitor.context.newCDPSession(visitor.page);
  await protocol.send('Network.enable');
  protocol.on('Network.dataReceived', ({ dataLength, encodedDataLength }) => {
    bytes += dataLength;
    sent += encodedDataLength;
  });
  await visitor.go(path);
  const paint = await visitor.page.evaluate(() => new Promise((done) => {
    const look = () => {
      const [entry] = performance.getEntriesByName('first-contentful-paint');
      if (entry === undefined) requestAnimationFrame(look); else done(entry.startTime);
    };
    look();
  }));
  visitor.quiet(path);
  await visitor.close();
  return { bytes, sent, paint };
};

export const scene = async (browser) => {
  console.log('page             bytes    sent  first paint, median and worst of a new browser window');
  const heavy = [];
  for (const { name, path } of await pages()) {
    const rounds = [];
    for (let n = 0; n < ROUNDS; n += 1) rounds.push(await measure(browser, path));
    const paints = rounds.map(({ paint }) => paint).sort((a, b) => a - b);
    const [bytes, sent] = ['bytes', 'sent'].map((key) => Math.max(...rounds.map((round) => round[key])));
    const times = `${paints[Math.floor(ROUNDS / 2)].toFixed(0)} ms, ${paints[ROUNDS - 1].toFixed(0)} ms`;
    console.log(`${name.padEnd(14)} ${String(bytes).padStart(7)} ${String(sent).padStart(7)}  ${times}`);
    if (bytes > BYTES_MAX) heavy.push(`${name}: ${bytes} bytes`);
  }
  if (heavy.length > 0) throw new Error(`heavier than ${BYTES_MAX} bytes: ${heavy.join(', ')}`);
};
