// The worker's portal, used as a person uses it: sign in, go available, take an offer, answer with a photo, submit.
import { describe, expect, it } from 'vitest';
import type { TaskView } from '../support/api.ts';
import { DESKTOP, hasBrowser, PHONE } from '../support/chromium.ts';
import { expectAccessible, expectAccessibleAtBothWidths, pagesOfFile, picture } from '../support/pages.ts';
import { createPoolTask, signInWorker } from '../support/portal.ts';

const pages = pagesOfFile();

/** A picture of one pixel. */
const PHOTO = {
  name: 'gate.png',
  mimeType: 'image/png',
  buffer: Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPj/HwADAgH/p+EbPwAAAABJRU5ErkJggg==',
    'base64',
  ),
};

const SCHEMA = {
  type: 'object',
  properties: {
    gate_closed: { type: 'boolean', title: 'Is the gate closed?' },
    condition: { enum: ['good', 'worn', 'damaged'], title: 'Condition of the lock' },
    height_cm: {
      type: 'number',
      title: 'Height of the gap',
      description: 'In cm.',
      minimum: 0,
      maximum: 300,
    },
    remarks: { type: 'string', title: 'Remarks' },
  },
  required: ['gate_closed', 'condition', 'height_cm'],
  additionalProperties: false,
};

/** A task that only the workers of the pool can do. */
function createTask(poolId: string, fields: Record<string, unknown> = {}): Promise<TaskView> {
  const output = {
    expected_format: 'structured_json',
    schema: SCHEMA,
    evidence_required: true,
    evidence_types: ['image/*'],
    review: { mode: 'manual' },
  };
  const context = {
    background: 'Deliveries arrive here at night.',
    constraints: ['Do not touch the seal.'],
    risk_notes: ['The ground is wet after rain.'],
  };
  const instructions = 'Go to the **north gate** and look at:\n\n1. the lock\n2. the gap below it\n';
  return createPoolTask(pages, poolId, {
    title: 'Check the north gate',
    ...{ instructions, context, output },
    ...fields,
  });
}

function taskOf(id: string): Promise<TaskView & Record<string, never>> {
  return pages.org.client.get(`/v1/tasks/${id}`);
}

describe.skipIf(!hasBrowser)('a worker', { timeout: 120_000 }, () => {
  it('takes an offer, answers it with a photo and submits it', async () => {
    const signed = await signInWorker(pages, PHONE);
    const { page, poolId } = signed;
    await expectAccessibleAtBothWidths(signed, 'work-empty');
    await page.getByRole('button', { name: 'Go available' }).click();
    await page.getByText('New offers appear here by themselves.').waitFor();
    const { task_id } = await createTask(poolId);

    // The offer arrives by itself.
    const offer = page.getByRole('article', { name: 'Check the north gate' });
    await offer.waitFor();
    expect(await offer.textContent()).toMatch(/High.*Pool: /s);
    await offer.getByRole('timer').waitFor();
    await expectAccessibleAtBothWidths(signed, 'work-offer');
    await page.keyboard.press('a');

    await page.getByRole('heading', { name: 'Check the north gate', level: 1 }).waitFor();
    await page.getByText('Do not touch the seal.').waitFor();
    await page.getByText('The ground is wet after rain.').waitFor();
    await page.locator('strong', { hasText: 'north gate' }).waitFor();
    await expectAccessibleAtBothWidths(signed);

    // Nothing is taken for an answer that is none.
    await page.getByRole('button', { name: 'Submit' }).click();
    const summary = page.getByRole('alert').filter({ hasText: 'There is a problem' });
    await summary.getByRole('link', { name: 'Is the gate closed?: Answer this.' }).waitFor();
    await summary.getByRole('link', { name: /Evidence: Add at least one file/ }).waitFor();
    await expectAccessibleAtBothWidths(signed, 'work-errors');

    const gate = page.getByRole('group', { name: 'Is the gate closed?' });
    await gate.getByLabel('Yes').check();
    await page.getByRole('group', { name: 'Condition of the lock' }).getByLabel('worn').check();
    await page.getByLabel('Height of the gap').fill('2,5');
    await page.getByLabel('Remarks').fill('The lock is stiff.');
    await page.getByLabel('Choose files').setInputFiles(PHOTO);
    await page.getByRole('button', { name: 'Preview of gate.png' }).waitFor();
    await page.getByText(/Draft saved at/).waitFor();
    await expectAccessibleAtBothWidths(signed, 'work-task', true);
    await page.keyboard.press('Control+Enter');

    await page.getByRole('heading', { name: 'My work' }).waitFor();
    await page.getByText('Submitted.').waitFor();
    const task = await taskOf(task_id);
    expect(task).toMatchObject({
      status: 'submitted',
      submission: {
        output: { gate_closed: true, condition: 'worn', height_cm: 2.5, remarks: 'The lock is stiff.' },
        evidence: [{ name: 'gate.png', media_type: 'image/png' }],
      },
    });
    expect(signed.faults).toEqual([]);
  });

  it('declines an offer with a reason', async () => {
    const { page, poolId, faults } = await signInWorker(pages, DESKTOP, 'available');
    const { task_id } = await createTask(poolId);
    await page.getByRole('button', { name: /^Decline.*Check the north gate/ }).click();
    const dialog = page.getByRole('dialog', { name: 'Decline this offer' });
    await dialog.getByLabel('Why?').fill('I am on the other side of town.');
    await dialog.getByRole('button', { name: 'Decline' }).click();
    await page.getByText('Declined. The task is offered to someone else.').waitFor();
    const { data } = await pages.org.client.get<{ data: unknown[] }>(`/v1/tasks/${task_id}/events`);
    expect(JSON.stringify(data)).toContain('I am on the other side of town.');
    expect(faults).toEqual([]);
  });

  it('keeps what was typed over a reload, and continues where they were', async () => {
    const { page, poolId, person } = await signInWorker(pages, DESKTOP, 'available');
    const { task_id } = await createTask(poolId);
    await person.accept(task_id);
    await page.goto(`${pages.api.url}/work/tasks/${task_id}`);
    await page.getByLabel('Remarks').fill('Half of a sen');
    await page.getByLabel('Height of the gap').fill('1.');
    // At once, before anything has been sent.
    await page.reload();
    expect(await page.getByLabel('Remarks').inputValue()).toBe('Half of a sen');
    expect(await page.getByLabel('Height of the gap').inputValue()).toBe('1.');
    await page.getByText(/Draft saved at/).waitFor();
    await expect
      .poll(() => person.client.get(`/v1/worker/tasks/${task_id}/draft`))
      .toMatchObject({ output: { remarks: 'Half of a sen' } });
    expect((await taskOf(task_id)).status).toBe('started');
  });

  it('gets work back with the feedback of the reviewer, and sees ratings in the history', async () => {
    const signed = await signInWorker(pages, PHONE, 'available');
    const { page, poolId, person } = signed;
    const { task_id } = await createTask(poolId, {
      output: { expected_format: 'text', review: { mode: 'manual' } },
    });
    await person.accept(task_id);
    await person.start(task_id);
    await person.submit(task_id, 'All fine');
    await pages.org.client.post(`/v1/tasks/${task_id}/review`, {
      decision: 'rework',
      feedback: 'Please say how wide the gap is.',
    });
    await page.getByRole('link', { name: /Check the north gate.*Sent back/s }).click();
    await page.getByText('Please say how wide the gap is.').waitFor();
    await page.getByRole('textbox', { name: 'Your answer' }).fill('All fine, the gap is 2 cm wide.');
    await expectAccessible(signed);
    await picture(page, 'work-rework-390');
    await page.getByRole('button', { name: 'Submit' }).click();
    await page.getByText('Submitted.').waitFor();
    await pages.org.client.post(`/v1/tasks/${task_id}/review`, { decision: 'approve', rating: 4 });
    await page.getByRole('link', { name: 'History' }).click();
    await page.getByText('4 of 5').waitFor();
    await expectAccessible(signed);
    await picture(page, 'work-history-390');
    await page.getByRole('link', { name: 'Check the north gate' }).click();
    await page.getByText('All fine, the gap is 2 cm wide.').waitFor();
    await expectAccessible(signed);
  });

  it('asks the requester and gets the answer', async () => {
    const signed = await signInWorker(pages, DESKTOP, 'available');
    const { page, poolId, person } = signed;
    const { task_id } = await createTask(poolId);
    await person.accept(task_id);
    await page.goto(`${pages.api.url}/work/tasks/${task_id}`);
    await page.getByLabel('Remarks').waitFor();
    await page.keyboard.press('m');
    await page.keyboard.type('Which of the two gates?');
    await page.getByLabel('This is a question').check();
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByRole('list', { name: 'Messages' }).getByText('Which of the two gates?').waitFor();
    const { open_question } = await pages.org.client.get<{ open_question: { message_id: string } }>(
      `/v1/tasks/${task_id}`,
    );
    await pages.org.client.post(`/v1/tasks/${task_id}/messages`, {
      text: 'The one with <b>two</b> locks.',
      answers: open_question.message_id,
    });
    await page.getByText('The one with <b>two</b> locks.').waitFor();
    await expectAccessible(signed);
    await picture(page, 'work-messages-1280');
  });
});
