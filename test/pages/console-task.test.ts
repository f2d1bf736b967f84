// The page of one task in the console, as a person uses it.
import { describe, expect, it } from 'vitest';
import type { TaskView } from '../support/api.ts';
import { startCallbackReceiver } from '../support/callback-receiver.ts';
import { hasBrowser, PHONE } from '../support/chromium.ts';
import { openConsole } from '../support/console.ts';
import { expectAccessibleAtBothWidths, pagesOfFile } from '../support/pages.ts';
import { createTaskIn, createTestWorker, taskBody } from '../support/workers.ts';

const pages = pagesOfFile({ webhookAllowedNetworks: ['127.0.0.0/8'] });

const pathOf = ({ task_id }: { task_id: string }, part = '') =>
  `/console/tasks/${task_id}${part === '' ? '' : `?part=${part}`}`;

const FULL = {
  title: 'Check the damage to the parked car',
  instructions:
    '# What to do\n\nLook at **all sides** of the car.\n\n- Take a photo of each dent\n- <script>alert(1)</script>',
  context: {
    background: 'Reported by the tenant.',
    constraints: ['Do not touch the car.'],
    risk_notes: ['Traffic on the street.'],
    data: { plate: 'B-LX 42', photos: ['front', 'back'] },
  },
  sla: { urgency: 'high', target_latency_seconds: 7200 },
  metadata: { ticket: 'T-1' },
};

describe.skipIf(!hasBrowser)('the page of a task', { timeout: 120_000 }, () => {
  it('shows all of a task without a fault', async () => {
    const { task } = await createTaskIn(pages.api, pages.org, 'submitted', FULL);
    const opened = await openConsole(pages, pathOf(task), { width: PHONE });
    const { page } = opened;
    await page.getByRole('heading', { name: FULL.title }).first().waitFor();
    await page.getByText('all sides', { exact: true }).waitFor();
    await page.getByText('Traffic on the street.').waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-task', true);
    await page.getByRole('tab', { name: 'Timeline' }).click();
    await page.getByText('Unchanged: every entry follows from the one before it.').waitFor();
    await page.getByText('Submitted').first().waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-timeline', true);
    for (const part of ['Messages', 'Deliveries', 'Matching', 'JSON']) {
      await page.getByRole('tab', { name: part }).click();
      await page.getByRole('tabpanel', { name: part }).locator('p, pre, h2').first().waitFor();
      await expectAccessibleAtBothWidths(opened);
    }
  });

  it('finds a changed entry of the history', async () => {
    const { task } = await createTaskIn(pages.api, pages.org, 'queued');
    const { page } = await openConsole(pages, '/console/tasks');
    await page.route('**/events?**', async (route) => {
      const response = await route.fetch();
      const body = (await response.json()) as { data: { actor: string }[] };
      if (body.data[1] !== undefined) body.data[1].actor = 'worker:someone-else';
      await route.fulfill({ response, json: body });
    });
    await page.goto(pages.api.url + pathOf(task, 'timeline'));
    await page.getByRole('alert').getByText('Entry 2 does not follow').waitFor();
  });

  it('explains why a task is not matched, and assigns it', async () => {
    const { task_id } = await pages.org.client.post<TaskView>('/v1/tasks', taskBody());
    const worker = await createTestWorker(pages.api, pages.org.client, { unpooled_tasks: true });
    const { name } = await pages.org.client.get<{ name: string }>(`/v1/workers/${worker.worker_id}`);
    const { page } = await openConsole(pages, pathOf({ task_id }, 'match'));
    await page.getByText('No worker meets all requirements.').waitFor();
    await page.getByRole('cell', { name: 'skill_of_nobody' }).waitFor();
    await page.getByRole('button', { name: 'Assign' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Assign' }).click();
    await dialog.getByRole('link', { name: 'Choose a worker.' }).waitFor();
    await dialog.getByLabel('Worker', { exact: true }).selectOption(worker.worker_id);
    await dialog.getByLabel('Give it to the worker at once').check();
    await dialog.getByRole('button', { name: 'Assign' }).click();
    await dialog.getByRole('link', { name: 'This worker is not eligible: Skills' }).waitFor();
    await dialog.getByLabel('Also if the worker does not meet the requirements').check();
    await dialog.getByRole('button', { name: 'Assign' }).click();
    await page.getByText('Assigned.', { exact: true }).waitFor();
    await page.getByRole('complementary').getByText(name).waitFor();
    await page.getByRole('button', { name: 'Return to the queue' }).click();
    await dialog.getByLabel('Reason').fill('Mistake');
    await dialog.getByRole('button', { name: 'Return to the queue' }).click();
    await page.getByText('The task is back in the queue.').waitFor();
  });

  it('changes a task, but not over the change of someone else', async () => {
    const { task } = await createTaskIn(pages.api, pages.org, 'queued', { metadata: { ticket: 'T-1' } });
    const { page } = await openConsole(pages, pathOf(task));
    await page.getByRole('button', { name: 'Change' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Urgency').selectOption('Critical');
    await dialog.getByLabel('Metadata').fill('ticket T-2');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('link', { name: 'Write each line as name = value.' }).waitFor();
    await dialog.getByLabel('Metadata').fill('ticket = T-2\nregion = north');
    // Held back until someone else has changed the task: the page has not heard of it.
    let isChanged = false;
    await page.route('**/v1/tasks/*', async (route) => {
      if (route.request().method() === 'PATCH' && !isChanged) {
        isChanged = true;
        await pages.org.client.patch(`/v1/tasks/${task.task_id}`, { sla: { urgency: 'low' } });
      }
      await route.continue();
    });
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText('Someone has changed the task since you opened this.').waitFor();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Changed.', { exact: true }).waitFor();
    expect(await pages.org.client.get(`/v1/tasks/${task.task_id}`)).toMatchObject({
      sla: { urgency: 'critical' },
      metadata: { ticket: 'T-2', region: 'north' },
    });
    await page.getByRole('button', { name: 'Cancel task' }).click();
    await dialog.getByRole('button', { name: 'Cancel task' }).click();
    await page.getByText('The task was cancelled').waitFor();
  });

  it('answers the question of a worker', async () => {
    const { task, person } = await createTaskIn(pages.api, pages.org, 'started');
    const { page } = await openConsole(pages, pathOf(task));
    await person.client.post(`/v1/worker/tasks/${task.task_id}/messages`, {
      text: 'Which door?\n<b>Left or right</b>',
      question: true,
    });
    await page.getByText('The worker has a question').waitFor();
    await page.getByRole('tab', { name: 'Messages' }).click();
    await page.getByText('<b>Left or right</b>').first().waitFor();
    await page.getByRole('button', { name: 'Send answer' }).click();
    await page.getByRole('alert').getByRole('link', { name: 'Enter a message.' }).click();
    await page.keyboard.type('The left one.');
    await page.reload();
    expect(await page.getByLabel('Answer').inputValue()).toBe('The left one.');
    await page.getByRole('button', { name: 'Send answer' }).click();
    await page.getByRole('listitem').filter({ hasText: 'The left one.' }).waitFor();
    expect(await pages.org.client.get(`/v1/tasks/${task.task_id}`)).toMatchObject({ open_question: null });
  });

  it('shows the attempts of deliveries, and sends one again', async () => {
    const receiver = await startCallbackReceiver();
    const { task } = await createTaskIn(pages.api, pages.org, 'queued', {
      handoff: { callback_url: receiver.url, events: ['task.created'] },
    });
    const { page } = await openConsole(pages, pathOf(task, 'deliveries'));
    const delivery = page.getByRole('listitem').filter({ hasText: receiver.url });
    await delivery.getByText('Delivered').waitFor();
    await delivery.getByText('Attempts: 1').click();
    await delivery.getByRole('heading', { name: /Attempt 1: HTTP 2/ }).waitFor();
    await delivery.getByRole('button', { name: 'Send again' }).click();
    await delivery.getByText('Attempts: 2').waitFor();
  });

  it('says so when there is no such task', async () => {
    const { page } = await openConsole(pages, pathOf({ task_id: '019b0000-0000-7000-8000-000000000000' }), {
      locale: 'de-DE',
    });
    await page.getByRole('heading', { name: 'Diese Aufgabe gibt es nicht' }).waitFor();
    await page.getByRole('link', { name: 'Zu den Aufgaben' }).click();
    await page.getByRole('heading', { name: 'Aufgaben', exact: true }).waitFor();
  });
});
