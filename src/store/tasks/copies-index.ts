// The index of the open copies of tasks with several answers. They are in no other index, so no list of tasks shows
// them.

export const OPEN_COPIES = 'copies';
