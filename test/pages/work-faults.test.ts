// The portal when something is wrong: no network, an ended session, hostile content, a form of 500 fields.
import { describe, expect, it } from 'vitest';
import { DESKTOP, hasBrowser, PHONE } from '../support/chromium.ts';
import { expectAccessible, pagesOfFile } from '../support/pages.ts';
import { createPoolTask, type SignedIn, signInWorker } from '../support/portal.ts';

const pages = pagesOfFile();

/** A worker who has a task open. */
async function openTask(
  fields: Record<string, unknown>,
  width = DESKTOP,
): Promise<SignedIn & { taskId: string }> {
  const signed = await signInWorker(pages, width, 'available');
  const { task_id } = await createPoolTask(pages, signed.poolId, fields);
  await signed.person.accept(task_id);
  await signed.page.goto(`${pages.api.url}/work/tasks/${task_id}`);
  return { ...signed, taskId: task_id };
}

const TEXT = { output: { expected_format: 'text', review: { mode: 'manual' } } };

describe.skipIf(!hasBrowser)('the portal', { timeout: 120_000 }, () => {
  it('keeps what is typed without a network, and sends it when it is back', async () => {
    const { page, person, taskId } = await openTask(TEXT);
    const field = page.getByRole('textbox', { name: 'Your answer' });
    await field.fill('one');
    await page.getByText(/Draft saved at/).waitFor();
    await page.context().setOffline(true);
    await field.fill('one two');
    await page.getByText('Saved on this device.').waitFor();
    await page.getByRole('button', { name: 'Submit' }).click();
    await page.getByText('The server cannot be reached.').first().waitFor();
    await page.context().setOffline(false);
    await page.getByText(/Draft saved at/).waitFor();
    const draft = await person.client.get<{ output: string }>(`/v1/worker/tasks/${taskId}/draft`);
    expect(draft.output).toBe('one two');
  });

  it('keeps what is typed when the session ends, and goes on after the next sign-in', async () => {
    const { page, person, taskId } = await openTask(TEXT);
    const field = page.getByRole('textbox', { name: 'Your answer' });
    await field.fill('before');
    await page.getByText(/Draft saved at/).waitFor();
    await pages.org.client.delete(`/v1/workers/${person.worker_id}/sessions`);
    await field.fill('after');
    const dialog = page.getByRole('dialog', { name: 'You have been signed out' });
    await dialog.waitFor();
    const { url } = await pages.org.client.post<{ url: string }>(
      `/v1/workers/${person.worker_id}/sign-in-links`,
    );
    const again = await page.context().newPage();
    await again.goto(url);
    await again.getByRole('button', { name: 'Sign in to BioLayer' }).click();
    await again.getByRole('heading', { name: 'My work' }).waitFor();
    await again.close();
    await dialog.waitFor({ state: 'detached' });
    expect(await field.inputValue()).toBe('after');
    await expect
      .poll(() => person.client.get(`/v1/worker/tasks/${taskId}/draft`), { timeout: 20_000 })
      .toMatchObject({ output: 'after' });
  });

  it('shows hostile content as harmless text', async () => {
    const attack = '<img src="https://elsewhere.example/x" onerror="document.title=\'owned\'">';
    const signed = await openTask({
      title: attack,
      instructions: `# Look\n\n${attack}\n\n[press](javascript:document.title='owned') ![x](https://elsewhere.example/y)\n\n<style>*{display:none}</style><form action="https://elsewhere.example"><input></form>`,
      context: { background: attack, constraints: [attack], risk_notes: [attack], data: { attack } },
      output: {
        expected_format: 'structured_json',
        schema: {
          type: 'object',
          properties: { [attack]: { type: 'string', title: attack, description: attack } },
        },
      },
    });
    const { page, faults } = signed;
    await page.getByRole('heading', { name: 'Look' }).waitFor();
    await page.getByText('press').click();
    expect(await page.locator('.prose').first().innerHTML()).not.toMatch(
      /<(img|style|form|script)|href="javascript:/,
    );
    expect(await page.title()).toContain('<img');
    await expectAccessible(signed);
    expect(faults).toEqual([]);
  });

  it('stays usable with 500 fields, at phone size', async () => {
    const schema = Object.fromEntries(
      Array.from({ length: 500 }, (_, index) => [
        `field_${index}`,
        ['string', 'boolean', 'number?'][index % 3],
      ]),
    );
    const { page } = await openTask({ output: { expected_format: 'structured_json', schema } }, PHONE);
    const last = page.getByLabel('Field 498');
    await last.fill('x');
    const start = performance.now();
    await last.pressSequentially('twenty more letters.');
    expect((performance.now() - start) / 20).toBeLessThan(250);
    expect(await last.inputValue()).toBe('xtwenty more letters.');
  });
});
