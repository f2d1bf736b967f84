// A PDF, drawn page by page on a canvas by pdf.js: scripts, forms and links in it do nothing, and the browser's own viewer,
// which the policy of the page does not allow, is not needed. Loaded when the first PDF is opened.

import { GlobalWorkerOptions, getDocument, type PDFDocumentProxy } from 'pdfjs-dist/legacy/build/pdf.mjs';
import workerUrl from 'pdfjs-dist/legacy/build/pdf.worker.min.mjs?url';
import { useEffect, useRef, useState } from 'react';
import { useFormat } from '../../shared/i18n/messages.tsx';
import { Button } from '../../shared/ui/button.tsx';
import { Skeleton } from '../../shared/ui/containers.tsx';
import { useTaskText } from '../messages.ts';

GlobalWorkerOptions.workerSrc = workerUrl;

/** Largest picture within a PDF that is drawn, pixels. */
const MAX_IMAGE = 40_000_000;
/** Width at which a page is drawn, pixels; the page scales it. */
const DRAWN_WIDTH = 1400;

export default function PdfView({ bytes }: { bytes: ArrayBuffer }) {
  const text = useTaskText().evidence;
  const format = useFormat();
  const [document, setDocument] = useState<PDFDocumentProxy | null>(null);
  const [isBroken, setBroken] = useState(false);
  const [number, setNumber] = useState(1);
  useEffect(() => {
    // The bytes are handed over to the worker, so it gets a copy.
    const loading = getDocument({
      data: new Uint8Array(bytes.slice(0)),
      isEvalSupported: false,
      useWasm: false,
      maxImageSize: MAX_IMAGE,
    });
    let isCurrent = true;
    loading.promise.then(
      (loaded) => isCurrent && setDocument(loaded),
      () => isCurrent && setBroken(true),
    );
    return () => {
      isCurrent = false;
      void loading.destroy();
    };
  }, [bytes]);
  if (isBroken) return <p>{text.broken}</p>;
  if (document === null) return <Skeleton lines={6} />;
  const count = document.numPages;
  return (
    <div className="stack">
      {count > 1 && (
        <div className="row">
          <Button
            size="small"
            icon="up"
            label={text.previousPage}
            disabled={number === 1}
            onClick={() => setNumber(number - 1)}
          />
          <Button
            size="small"
            icon="down"
            label={text.nextPage}
            disabled={number === count}
            onClick={() => setNumber(number + 1)}
          />
          <span className="small muted">{text.page(format.number(number), format.number(count))}</span>
        </div>
      )}
      <PageCanvas
        document={document}
        number={number}
        label={text.page(format.number(number), format.number(count))}
        onBroken={() => setBroken(true)}
      />
    </div>
  );
}

function PageCanvas({
  document,
  number,
  label,
  onBroken,
}: {
  document: PDFDocumentProxy;
  number: number;
  label: string;
  onBroken: () => void;
}) {
  const element = useRef<HTMLCanvasElement>(null);
  const broken = useRef(onBroken);
  broken.current = onBroken;
  useEffect(() => {
    let isCurrent = true;
    let stop: (() => void) | undefined;
    const draw = async () => {
      const page = await document.getPage(number);
      const canvas = element.current;
      if (!isCurrent || canvas === null) return;
      const scale = DRAWN_WIDTH / page.getViewport({ scale: 1 }).width;
      const viewport = page.getViewport({ scale });
      canvas.width = viewport.width;
      canvas.height = viewport.height;
      const drawing = page.render({ canvas, viewport });
      stop = () => drawing.cancel();
      await drawing.promise;
    };
    draw().catch(() => isCurrent && broken.current());
    return () => {
      isCurrent = false;
      stop?.();
    };
  }, [document, number]);
  return <canvas ref={element} className="pdf-page" role="img" aria-label={label} />;
}
