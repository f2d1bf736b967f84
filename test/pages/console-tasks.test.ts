// The list of tasks in the console, as a person uses it.
import { describe, expect, it } from 'vitest';
import type { TaskView } from '../support/api.ts';
import { hasBrowser, PHONE } from '../support/chromium.ts';
import { openConsole } from '../support/console.ts';
import { expectAccessibleAtBothWidths, pagesOfFile } from '../support/pages.ts';
import { createTaskIn, taskBody } from '../support/workers.ts';

const pages = pagesOfFile();

/** Creates tasks that nobody can take. @returns their ids */
async function createTasks(count: number, fields: (at: number) => object): Promise<string[]> {
  const ids: string[] = [];
  for (let from = 0; from < count; from += 500) {
    const tasks = Array.from({ length: Math.min(500, count - from) }, (_, at) =>
      taskBody({ ...fields(from + at) }),
    );
    const { results } = await pages.org.client.post<{ results: { task: TaskView }[] }>('/v1/tasks/batch', {
      tasks,
    });
    ids.push(...results.map((one) => one.task.task_id));
  }
  return ids;
}

const callCustomer = (at: number) => ({
  title: `Call customer ${at}`,
  domain: 'support',
  sla: { urgency: 'critical', target_latency_seconds: 3600 },
});

describe.skipIf(!hasBrowser)('the list of tasks', { timeout: 120_000 }, () => {
  it('shows tasks without a fault', async () => {
    await createTasks(20, (at) => ({ title: `Check invoice ${at}`, domain: 'billing' }));
    await createTasks(3, callCustomer);
    await createTaskIn(pages.api, pages.org, 'started', { title: 'Draw the floor plan' });
    await createTaskIn(pages.api, pages.org, 'submitted', { title: 'Read the meter' });
    const opened = await openConsole(pages, '/console/tasks', { width: PHONE });
    await opened.page.getByRole('link', { name: 'Read the meter' }).waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-tasks');
    await opened.page.getByRole('button', { name: 'Filters' }).click();
    await opened.page.getByLabel('Task type').waitFor();
    await expectAccessibleAtBothWidths(opened, 'console-filters');
  });

  it('keeps the filters in the address, and saves a view of them', async () => {
    await createTasks(3, callCustomer);
    await createTasks(1, () => ({ title: 'Check invoice', domain: 'billing' }));
    const { page } = await openConsole(pages, '/console/tasks');
    await page.getByRole('button', { name: 'Filters' }).click();
    await page.getByLabel('Domain', { exact: true }).fill('Support Desk');
    await page.getByRole('button', { name: 'Apply filters' }).click();
    await page.getByText('Use lower-case letters, digits and underscores').waitFor();
    await page.getByLabel('Domain', { exact: true }).fill('support');
    await page.getByLabel('Critical').check();
    await page.getByRole('button', { name: 'Apply filters' }).click();
    await page.getByRole('link', { name: 'Call customer 0' }).waitFor();
    expect(new URL(page.url()).search).toBe('?domain=support&urgency=critical');
    expect(await page.getByRole('row').count()).toBe(1 + 3);
    await page.getByRole('button', { name: 'Save view' }).click();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('Enter a name for the view.').waitFor();
    await page.getByLabel('Name of the view').fill('Urgent support');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('link', { name: 'Urgent support' }).waitFor();
    await page.getByRole('button', { name: 'Remove the filter Urgency: Critical' }).click();
    await page.waitForURL((url) => url.search === '?domain=support');
    await page.reload();
    await page.getByRole('link', { name: 'Urgent support' }).click();
    await page.waitForURL((url) => url.search === '?domain=support&urgency=critical');
    await page.goBack();
    await page.waitForURL((url) => url.search === '?domain=support');
  });

  it('goes through the pages of a long list', async () => {
    await createTasks(240, (at) => ({ title: `Check invoice ${at}`, domain: 'billing' }));
    const { page } = await openConsole(pages, '/console/tasks?domain=billing&order=asc');
    await page.getByRole('link', { name: 'Check invoice 0', exact: true }).waitFor();
    expect(await page.getByRole('row').count()).toBe(1 + 100);
    await page.getByRole('button', { name: 'Next page' }).click();
    await page.getByRole('link', { name: 'Check invoice 100', exact: true }).waitFor();
    await page.getByRole('button', { name: 'Next page' }).click();
    await page.getByRole('link', { name: 'Check invoice 239', exact: true }).waitFor();
    expect(await page.getByRole('row').count()).toBe(1 + 40);
    await page.getByRole('button', { name: 'Previous page' }).click();
    await page.getByRole('link', { name: 'Check invoice 100', exact: true }).waitFor();
  });

  it('shows hostile text as text', async () => {
    await createTasks(1, () => ({
      title: '<img src=x onerror=alert(1)><script>alert(1)</script> {{7*7}}',
      domain: 'hostile',
    }));
    const { page, faults } = await openConsole(pages, '/console/tasks?domain=hostile');
    await page.getByRole('link', { name: '<img src=x onerror=alert(1)>' }).waitFor();
    expect(faults).toEqual([]);
  });

  it('changes many tasks, with progress', async () => {
    const ids = await createTasks(120, (at) => ({ title: `Sort photo ${at}`, domain: 'photos' }));
    const { page } = await openConsole(pages, '/console/tasks?domain=photos');
    await page.getByRole('checkbox', { name: 'Select all on this page' }).check();
    await page.getByText('100 tasks selected').waitFor();
    await page.getByRole('button', { name: 'All that match the filters' }).click();
    await page.getByRole('button', { name: 'Change…' }).click();
    await page.getByText('120 open tasks are concerned.').waitFor();
    await page.getByLabel('What to do').selectOption('Change urgency or deadline');
    await page.getByRole('button', { name: /^Start/ }).click();
    await page.getByRole('alert').getByText('Choose an urgency or a deadline.').waitFor();
    await page.getByLabel('New urgency').selectOption('High');
    await page.getByRole('button', { name: /^Start/ }).click();
    const progress = page.getByRole('region', { name: 'Changes of many tasks' });
    await progress.getByText('Done', { exact: true }).waitFor();
    await progress.getByText('120 changed').waitFor();
    const task = await pages.org.client.get<{ sla: object }>(`/v1/tasks/${ids[7]}`);
    expect(task.sla).toMatchObject({ urgency: 'high' });
  });

  it('shows a viewer no actions, and hears of new tasks at once', async () => {
    const { page } = await openConsole(pages, '/console/tasks?domain=live_domain', {
      role: 'viewer',
    });
    await page.getByText('No tasks match').waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    await createTasks(1, () => ({ title: 'Look at this', domain: 'live_domain' }));
    await page.getByRole('link', { name: 'Look at this' }).waitFor();
    await page.getByRole('checkbox', { name: 'Select Look at this' }).check();
    await page.getByText('1 task selected').waitFor();
    expect(await page.getByRole('button', { name: 'Change…' }).count()).toBe(0);
    expect(await page.getByRole('link', { name: 'API keys' }).count()).toBe(0);
    await page.goto(`${pages.api.url}/console/keys`);
    await page.getByRole('heading', { name: 'You may not open this page' }).waitFor();
  });
});
