// Plays one scene against a server that the Rust test has started: `node run.mjs SCENE`. It ends with 0 where all of
// it held. `cargo xtask browser` runs all of them.
import { launch } from './tools.mjs';
import { site } from './site.mjs';

/** A scene that takes longer hangs. */
const MINUTES_MAX = 30 + Number(process.env.FOCUS_BROWSER_MINUTES || 1);

const [name] = process.argv.slice(2);
const { scene } = await import(`./scenes/${name}.mjs`);
setTimeout(() => {
  console.error(`${name} has not ended within ${MINUTES_MAX} min`);
  process.exit(1);
}, MINUTES_MAX * 60_000).unref();

const browser = await launch();
try {
  await scene(browser, site);
} catch (error) {
  console.error(error.stack ?? error);
  process.exitCode = 1;
} finally {
  await browser.close();
  // The input would keep the program waiting for answers.
  process.stdin.destroy();
}
