// The icons, as outlines on a grid of 24. They are decoration: the control or text beside one says what it means.

const PATHS = {
  logo: 'M4 16.5 12 21l8-4.5M4 12l8 4.5 8-4.5M12 3l8 4.5L12 12 4 7.5z',
  check: 'M5 12.5 10 17l9-10',
  close: 'M6 6l12 12M18 6 6 18',
  clock: 'M12 7v5l3 2M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z',
  inbox: 'M3 13h5l1.5 3h5L16 13h5M5.5 5h13L21 13v6H3v-6z',
  tasks: 'M4 6l1.5 1.5L8 5M4 13l1.5 1.5L8 12M4 20l1.5 1.5L8 19M11 6.5h9M11 13.5h9M11 20.5h9',
  history: 'M4 5v5h5M4.5 10A8 8 0 1 1 4 14M12 8v4.5l3 1.5',
  bell: 'M6 17h12l-1.5-2v-4a4.5 4.5 0 0 0-9 0v4zM10 20h4M12 4v2.5',
  settings:
    'M4 7h9M17 7h3M4 17h3M11 17h9M15 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM9 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z',
  warning: 'M12 4 2.5 20h19zM12 10v4.5M12 17.5v.1',
  info: 'M12 11v5.5M12 7.5v.1M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z',
  plus: 'M12 5v14M5 12h14',
  trash: 'M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5',
  up: 'M12 19V5M6 11l6-6 6 6',
  down: 'M12 5v14M6 13l6 6 6-6',
  left: 'M15 5l-7 7 7 7',
  right: 'M9 5l7 7-7 7',
  camera: 'M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 16.5a3.25 3.25 0 1 0 0-6.5 3.25 3.25 0 0 0 0 6.5z',
  file: 'M6 3.5h8l4 4v13H6zM14 3.5v4h4',
  upload: 'M12 15.5V4M7 9l5-5 5 5M4 15.5v4.5h16v-4.5',
  download: 'M12 4v11.5M7 10.5l5 5 5-5M4 15.5v4.5h16v-4.5',
  message: 'M4 5h16v11h-9l-4.5 4v-4H4z',
  question:
    'M9.5 9.5a2.5 2.5 0 1 1 3.6 2.3c-.8.4-1.1.9-1.1 1.7M12 16.5v.1M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z',
  people:
    'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-3.3 2.9-6 6.5-6s6.5 2.7 6.5 6M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.5c2.2.8 3.5 3 3.5 5.5',
  chart: 'M4 20V4M4 20h16M8 16v-4M12.5 16V8M17 16v-6',
  key: 'M14.5 13.5a4.5 4.5 0 1 0-4.3-3.2L4 16.5V20h3.5v-2.5H10V15l1-1',
  link: 'M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.5-5.5l-1.5 1.5M14 10a4 4 0 0 0-6-.5l-3 3A4 4 0 0 0 10.5 18l1.5-1.5',
  search: 'M15.5 15.5 20 20M17 10.5a6.5 6.5 0 1 1-13 0 6.5 6.5 0 0 1 13 0z',
  star: 'M12 4l2.5 5.2 5.7.8-4.1 4 1 5.6-5.1-2.7-5.1 2.7 1-5.6-4.1-4 5.7-.8z',
  signOut: 'M14 8V4.5H4.5v15H14V16M9.5 12H20M16.5 8.5 20 12l-3.5 3.5',
  refresh: 'M20 5v5h-5M4 19v-5h5M19.3 10A8 8 0 0 0 5 7.5M4.7 14A8 8 0 0 0 19 16.5',
  keyboard: 'M3 6.5h18v11H3zM7 10v.1M10.5 10v.1M14 10v.1M17.5 10v.1M8 14h8',
  offline:
    'M3 4l18 17M5.5 11a10 10 0 0 1 4-2.4M14 8.5c1.7.4 3.2 1.3 4.5 2.5M8.5 14.5a5.5 5.5 0 0 1 5-1.3M12 18.5v.1M2.5 7.5c1-.9 2-1.6 3.2-2.2M11 3.6A14 14 0 0 1 21.5 7.5',
} as const;

export type IconName = keyof typeof PATHS;

const DIRECTIONAL: ReadonlySet<IconName> = new Set(['left', 'right', 'signOut']);

export function Icon({ name }: { name: IconName }) {
  return (
    <svg
      className={DIRECTIONAL.has(name) ? 'icon icon-directional' : 'icon'}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
