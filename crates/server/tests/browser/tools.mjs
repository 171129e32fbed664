// The programs of other people that the tests use: playwright drives chromium, axe judges pages. `cargo xtask browser`
// installs them outside the repository.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const require = createRequire(`${process.env.FOCUS_BROWSER_TOOLS}/package.json`);
const { chromium } = require('playwright-core');

/** The source of axe, which is put into a page that it judges. */
export const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

/** Starts Debian's chromium, and keeps it from talking to anybody by itself. */
export const launch = () => chromium.launch({
  executablePath: process.env.FOCUS_BROWSER_CHROMIUM,
  args: [
    '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
    // Its sandbox does not start as root, as in a container of CI.
    ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
  ],
});
