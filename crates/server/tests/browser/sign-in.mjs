// Signing in, as a person does it.
import { site } from './site.mjs';

/** Signs in with the server's token. */
export const signIn = async ({ page, go }) => {
  await go('/sign-in');
  await page.getByLabel('Token').fill(site.token);
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
};
