// Messages of the console's review page.

import { plural } from '../format.ts';

export const consoleReview = {
  waiting: plural('en', { one: '# waits for a decision', other: '# wait for a decision' }),
  atLeast: (count: string) => `More than ${count} wait for a decision`,
  since: (time: string) => `Submitted ${time}`,
  empty: {
    title: 'Nothing waits for a review',
    text: 'As soon as a worker submits a task with manual review, it appears here.',
  },
  gone: {
    title: 'This task does not wait for a decision any longer',
    text: 'Someone has decided, or the task has changed.',
    next: 'Go to the next one',
  },
  asked: 'What was asked',
  handedIn: 'What was handed in',
  openTask: 'Open the task',
  next: 'Next',
  previous: 'Previous',
  queue: 'Tasks that wait for a decision',
  decision: {
    title: 'Decision',
    legend: 'Your decision',
    options: { approve: 'Approve', rework: 'Rework', reassign: 'Reassign', reject: 'Reject' },
    hints: {
      approve: 'The task is completed with this output.',
      rework: 'The same worker does it again; they read your feedback.',
      reassign: 'Another worker gets the task.',
      reject: 'The task fails; the worker reads your feedback and may dispute it.',
    },
    send: {
      approve: 'Approve and go on',
      rework: 'Send back and go on',
      reassign: 'Reassign and go on',
      reject: 'Reject and go on',
    },
    choose: 'Decide',
    rating: 'Rating',
    noRating: 'None',
    ratingHint: 'Counts towards the rating of the worker.',
    feedback: 'Feedback to the worker',
    feedbackHint: 'The worker reads it.',
    answer: 'Which answer is the result',
    answerDefault: 'The one that most agree with',
    noDecision: 'Choose a decision.',
    noFeedback: 'Enter feedback: the worker must learn why.',
    done: {
      approve: 'Approved.',
      rework: 'Sent back to the worker.',
      reassign: 'Given to another worker.',
      reject: 'Rejected.',
    },
    stale:
      'This has changed since you opened it: the worker has submitted again, or someone else has decided. You see the current state now. What you have typed is kept.',
  },
  keys: {
    next: 'Next task',
    previous: 'Previous task',
    feedback: 'Write feedback',
    send: 'Send the decision',
    rating: (stars: string) => `Rating ${stars}`,
  },
};
