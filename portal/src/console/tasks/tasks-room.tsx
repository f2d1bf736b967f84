// Which page of the tasks is shown: the list, or one task.

import { Route, Switch } from 'wouter';
import { TaskPage } from './task-page.tsx';
import { TasksPage } from './tasks-page.tsx';

export default function TasksRoom() {
  return (
    <Switch>
      <Route path="/console/tasks/:id">{({ id }) => <TaskPage key={id} id={id} />}</Route>
      <Route>
        <TasksPage />
      </Route>
    </Switch>
  );
}
