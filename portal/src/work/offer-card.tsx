// An offer: what is asked, how urgent it is, and how long the worker has to decide.

import { ApiError, type Offer } from '@biolayer/sdk';
import { useState } from 'react';
import { useLocation } from 'wouter';
import { api } from '../shared/api/client.ts';
import { Markdown } from '../shared/markdown/markdown.tsx';
import { serverNow, useNow } from '../shared/time/now.ts';
import { Badge, UrgencyBadge } from '../shared/ui/badge.tsx';
import { Button } from '../shared/ui/button.tsx';
import { Countdown } from '../shared/ui/countdown.tsx';
import { Key, useShortcuts } from '../shared/ui/shortcuts.tsx';
import { useToast } from '../shared/ui/toast.tsx';
import { forgetOffer, setTask } from './data.ts';
import { useWork } from './messages.ts';
import { ReasonDialog } from './reason-dialog.tsx';
import { TaskFacts } from './task/brief.tsx';
import { useAction } from './use-action.ts';

/** @param isFirst whether the shortcuts answer this offer. */
export function OfferCard({ offer, isFirst }: { offer: Offer; isFirst: boolean }) {
  const text = useWork();
  const toast = useToast();
  const [, navigate] = useLocation();
  const [isDeclining, setDeclining] = useState(false);
  const { task, offer_id } = offer;
  const hasExpired = useNow(1000) > Date.parse(offer.expires_at);

  const end = (error: unknown) => {
    const isGone = error instanceof ApiError && (error.status === 404 || error.code === 'offer_not_pending');
    if (!isGone) return false;
    forgetOffer(offer_id);
    toast(text.offers.gone, 'amber');
    return true;
  };
  const accepting = useAction(async () => {
    const accepted = await api.worker.acceptOffer(offer_id, {});
    forgetOffer(offer_id);
    setTask(accepted);
    navigate(`/work/tasks/${accepted.task_id}`);
  }, end);
  const decline = async (reason: string | undefined) => {
    try {
      await api.worker.declineOffer(offer_id, reason === undefined ? {} : { reason });
      toast(text.offers.declined);
    } catch (error) {
      if (!end(error)) throw error;
    }
    forgetOffer(offer_id);
  };
  useShortcuts(
    isFirst
      ? [
          { key: 'a', label: text.shortcuts.accept, run: accepting.run },
          { key: 'd', label: text.shortcuts.decline, run: () => setDeclining(true) },
        ]
      : [],
  );
  // The clock of this machine may be ahead; the server says when the offer ends.
  if (hasExpired && serverNow() > Date.parse(offer.expires_at) + 5000) return null;
  return (
    <article className="card offer stack" aria-label={task.title}>
      <div className="row row-between">
        <div className="row">
          <UrgencyBadge urgency={task.sla.urgency} />
          {task.requirements?.worker_pool_id !== undefined && (
            <Badge>
              {text.task.pool}: {task.requirements.worker_pool_id}
            </Badge>
          )}
        </div>
        <Countdown until={offer.expires_at} from={offer.offered_at} label={text.offers.timeLeft} />
      </div>
      <h3 className="offer-title">{task.title}</h3>
      <div className="offer-text">
        <Markdown text={task.instructions} isPlain />
      </div>
      <TaskFacts task={task} />
      <div className="row offer-actions">
        <Button look="primary" icon="check" busy={accepting.isBusy} onClick={accepting.run}>
          {text.offers.accept}
          <span className="visually-hidden">: {task.title}</span>
          {isFirst && <Key name="a" />}
        </Button>
        <Button icon="close" onClick={() => setDeclining(true)}>
          {text.offers.decline}
          <span className="visually-hidden">: {task.title}</span>
          {isFirst && <Key name="d" />}
        </Button>
      </div>
      {isDeclining && (
        <ReasonDialog
          title={text.offers.declineTitle}
          text={task.title}
          label={text.offers.declineReason}
          hint={text.offers.declineHint}
          button={text.offers.decline}
          action={decline}
          onClose={() => setDeclining(false)}
        />
      )}
    </article>
  );
}
