// The review page of the console and its viewer of evidence, as a person uses them.
import type { Route } from 'playwright-core';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Client, TaskView } from '../support/api.ts';
import { hasBrowser, PHONE } from '../support/chromium.ts';
import { openConsole } from '../support/console.ts';
import { expectAccessible, expectAccessibleAtBothWidths, pagesOfFile, picture } from '../support/pages.ts';
import { createTestWorker, type TestWorker } from '../support/workers.ts';

const pages = pagesOfFile();

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="80" height="60" onload="document.title='owned'">
<script>document.title='owned'</script><image href="http://127.0.0.1:9/leak.png"/><rect width="80" height="60" fill="teal"/></svg>`;
const HTML = `<script>document.title='owned'</script><img src=x onerror="document.title='owned'"><h1>Hello</h1>`;
const PDF = `%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj
4 0 obj<</Length 44>>stream
BT /F1 24 Tf 20 40 Td (Meter: 4711) Tj ET   
endstream endobj
trailer
<</Root 1 0 R/Size 5>>
startxref
0
%%EOF`;
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFElEQVR4nGNkYPjPgA0wYRUdMhIAMXYBD4y2f+QAAAAASUVORK5CYII=',
  'base64',
);
/** A second of silence. */
const WAV = (() => {
  const wav = Buffer.alloc(44 + 8000);
  wav.write('RIFF', 0);
  wav.writeUInt32LE(36 + 8000, 4);
  wav.write('WAVEfmt ', 8);
  for (const [at, value] of [
    [16, 16],
    [24, 8000],
    [28, 8000],
    [40, 8000],
  ] as const)
    wav.writeUInt32LE(value, at);
  for (const [at, value] of [
    [20, 1],
    [22, 1],
    [32, 1],
    [34, 8],
  ] as const)
    wav.writeUInt16LE(value, at);
  wav.write('data', 36);
  return wav.fill(128, 44);
})();
interface Canvas {
  width: number;
  height: number;
  getContext(kind: '2d'): { getImageData(...area: number[]): { data: Uint8ClampedArray } };
}

/** Whether a canvas shows anything dark; runs in the page. */
function isDrawn(element: unknown): boolean {
  const canvas = element as Canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value, at) => at % 4 === 0 && data[at + 3] === 255 && value < 100);
}

const FILES: readonly (readonly [name: string, type: string, body: string | Buffer])[] = [
  ['meter.png', 'image/png', PNG],
  ['drawing.svg', 'image/svg+xml', SVG],
  ['page.html', 'text/html', HTML],
  ['reading.pdf', 'application/pdf', PDF],
  ['note.wav', 'audio/wav', WAV],
  ['broken.pdf', 'application/pdf', 'this is no PDF'],
  ['archive.zip', 'application/zip', 'PK'],
];

let worker: TestWorker;

async function upload(client: Client, taskId: string, [name, type, body]: (typeof FILES)[number]) {
  const answer = await client.request('POST', `/v1/worker/tasks/${taskId}/evidence?name=${name}`, {
    raw: typeof body === 'string' ? body : new Uint8Array(body),
    headers: { 'Content-Type': type },
  });
  return answer.as<{ evidence_id: string }>().evidence_id;
}

/** Creates a task with manual review and hands in an answer. */
async function submitted(title: string, files: readonly (typeof FILES)[number][] = []): Promise<TaskView> {
  const { task_id } = await pages.org.client.post<TaskView>('/v1/tasks', {
    origin: { product: 'meters', request_id: title },
    task_type: 'reading',
    domain: 'metering',
    title,
    instructions: 'Read the number on the meter.\n\n- Take a **photo**',
    sla: { urgency: 'high' },
    requirements: { worker_ids: [worker.worker_id] },
    output: {
      expected_format: 'structured_json',
      schema: {
        type: 'object',
        properties: {
          reading: { type: 'number', title: 'Reading of the meter' },
          sealed: { type: 'boolean' },
          remarks: { type: 'array' },
        },
        required: ['reading', 'sealed'],
      },
      review: { mode: 'manual' },
    },
  });
  await worker.accept(task_id);
  await worker.start(task_id);
  const evidence_ids: string[] = [];
  for (const file of files) evidence_ids.push(await upload(worker.client, task_id, file));
  const output = { reading: 4711.5, sealed: true, remarks: ['Seal is old', '<b>bold</b>'] };
  return worker.submit(task_id, output, { notes: 'The cellar is dark.', evidence_ids });
}

const task = (id: string) => pages.org.client.get<TaskView>(`/v1/tasks/${id}`);

describe.skipIf(!hasBrowser)('the review page', { timeout: 120_000 }, () => {
  beforeEach(async () => {
    worker = await createTestWorker(pages.api, pages.org.client, {
      name: 'Grace Hopper',
      unpooled_tasks: true,
      capacity: 50,
    });
  });

  it('says so when nothing waits', async () => {
    const opened = await openConsole(pages, '/console/review', { role: 'reviewer' });
    await opened.page.getByText('Nothing waits for a review').waitFor();
    await expectAccessible(opened);
  });

  it('shows answer beside instructions without a fault', async () => {
    const { task_id } = await submitted('Read the gas meter', FILES.slice(0, 2));
    const opened = await openConsole(pages, `/console/review?task=${task_id}`, {
      width: PHONE,
      role: 'reviewer',
    });
    const { page } = opened;
    await page.getByText('4711.5').or(page.getByText('4,711.5')).first().waitFor();
    await page.getByText('<b>bold</b>').waitFor();
    await page
      .getByRole('term')
      .filter({ hasText: /^Reading of the meter$/ })
      .waitFor();
    await page
      .getByRole('term')
      .filter({ hasText: /^sealed$/ })
      .waitFor();
    await page.locator('img.evidence-thumbnail').first().waitFor();
    await page.getByRole('radio', { name: 'Approve' }).check();
    await expectAccessibleAtBothWidths(opened, 'console-review', true);
    await pages.org.client.post(`/v1/tasks/${task_id}/review`, { decision: 'approve' });
  });

  it('shows files of every kind, and runs nothing of them', async () => {
    const { task_id } = await submitted('Read the water meter', FILES);
    const opened = await openConsole(pages, `/console/review?task=${task_id}`, { role: 'reviewer' });
    const { page, faults } = opened;
    await page.getByRole('button', { name: 'Open meter.png' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('img', { name: 'meter.png' }).waitFor();
    await expectAccessible(opened);
    await page.keyboard.press('ArrowRight');
    const drawing = dialog.getByRole('img', { name: 'drawing.svg' });
    await drawing.waitFor();
    await expect
      .poll(() => drawing.evaluate((one) => (one as unknown as { naturalWidth: number }).naturalWidth))
      .toBe(80);
    await page.keyboard.press('ArrowRight');
    await dialog.getByText("<script>document.title='owned'</script>").waitFor();
    await page.keyboard.press('ArrowRight');
    const canvas = dialog.getByRole('img', { name: 'Page 1 of 1' });
    await canvas.waitFor();
    await expect.poll(() => canvas.evaluate(isDrawn), { timeout: 20_000 }).toBe(true);
    await picture(page, 'console-evidence-pdf');
    await dialog.getByRole('button', { name: 'Next file' }).click();
    const sound = dialog.locator('audio');
    await sound.waitFor();
    await expect
      .poll(() => sound.evaluate((one) => (one as unknown as { duration: number }).duration))
      .toBe(1);
    await dialog.getByRole('button', { name: 'Next file' }).click();
    await dialog.getByText('The file cannot be shown.').waitFor();
    await dialog.getByRole('button', { name: 'Next file' }).click();
    await dialog.getByText('This kind of file is not shown here.').waitFor();
    const saved = page.waitForEvent('download');
    await dialog.getByRole('button', { name: 'Download' }).click();
    expect((await saved).suggestedFilename()).toBe('archive.zip');
    expect(await page.title()).toBe('Review · BioLayer');
    expect(faults).toEqual([]);
    await pages.org.client.post(`/v1/tasks/${task_id}/review`, { decision: 'approve' });
  });

  it('decides by keyboard alone, one task after the other', async () => {
    const first = await submitted('First meter');
    const second = await submitted('Second meter');
    const { page } = await openConsole(pages, '/console/review', { role: 'reviewer' });
    await page.getByRole('heading', { name: 'First meter' }).waitFor();
    await page.keyboard.press('w');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('alert').getByText('Enter feedback: the worker must learn why.').waitFor();
    await page.keyboard.press('f');
    await page.keyboard.type('The photo is blurred.');
    await page.keyboard.press('Control+Enter');
    await page.getByText('Sent back to the worker.').waitFor();
    await page.getByRole('heading', { name: 'Second meter' }).waitFor();
    await page.getByRole('heading', { name: 'What was handed in' }).waitFor();
    await page.keyboard.press('a');
    await page.keyboard.press('4');
    await page.keyboard.press('Control+Enter');
    await page.getByText('Nothing waits for a review').waitFor();
    const { reviews } = await task(first.task_id);
    expect(reviews).toMatchObject([{ decision: 'rework', feedback: 'The photo is blurred.' }]);
    await expect.poll(async () => (await task(second.task_id)).status).toBe('completed');
    expect((await task(second.task_id)).reviews).toMatchObject([{ decision: 'approve', rating: 4 }]);
  });

  it('does not decide on a submission that the reviewer has not seen', async () => {
    const { task_id } = await submitted('Third meter');
    const { page } = await openConsole(pages, `/console/review?task=${task_id}`, {
      role: 'reviewer',
    });
    await page.getByRole('radio', { name: 'Reject' }).check();
    await page.getByLabel('Feedback to the worker').fill('No.');
    const changeFirst = async (route: Route) => {
      await pages.org.client.post(`/v1/tasks/${task_id}/review`, {
        decision: 'rework',
        feedback: 'Once more',
      });
      await worker.submit(task_id, { reading: 4712, sealed: true });
      await route.continue();
    };
    await page.route('**/review', changeFirst, { times: 1 });
    await page.getByRole('button', { name: 'Reject and go on' }).click();
    await page.getByText('This has changed since you opened it').waitFor();
    await page.getByText('4712').or(page.getByText('4,712')).first().waitFor();
    expect(await page.getByLabel('Feedback to the worker').inputValue()).toBe('No.');
    expect((await task(task_id)).status).toBe('submitted');
    await page.getByRole('button', { name: 'Reject and go on' }).click();
    await expect.poll(async () => (await task(task_id)).status).toBe('failed');
  });

  it('decides a dispute', async () => {
    const { task_id } = await submitted('Fourth meter');
    await pages.org.client.post(`/v1/tasks/${task_id}/review`, {
      decision: 'reject',
      feedback: 'Wrong meter',
    });
    await worker.client.post(`/v1/worker/tasks/${task_id}/dispute`, { text: 'It is the right one.' });
    const { page } = await openConsole(pages, '/console/review', { role: 'reviewer' });
    await page.getByText('It is the right one.').waitFor();
    await page.getByRole('button', { name: 'Decide the dispute' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Overturn it: the submission counts').check();
    await dialog.getByRole('button', { name: 'Decide the dispute' }).click();
    await page.getByText('The dispute is decided.').waitFor();
    expect((await task(task_id)).dispute).toMatchObject({ status: 'overturned' });
  });
});
