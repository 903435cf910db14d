/**
 * Signs of 16 by 16, in the colour of the text around them. Each state has a shape of its own, so
 * that no colour is needed to tell them apart.
 */

const PATHS = {
  succeeded: "M3.2 8.6 6.4 11.8 12.8 4.6",
  failed: "M4 4l8 8M12 4l-8 8",
  cancelled: "M3.9 12.1 12.1 3.9M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2z",
  running: "M8 2.2a5.8 5.8 0 0 1 5.8 5.8M8 5v3.2l2.2 1.6M13.8 8A5.8 5.8 0 1 1 8 2.2",
  queued: "M3 4.5h10M3 8h10M3 11.5h6",
  waiting: "M5.5 3v10M10.5 3v10",
  setting: "M6.5 8h3",
  stopped: "M4.5 4.5h7v7h-7z",
  warning: "M8 2.5 14.2 13.3H1.8zM8 6.4v3.2M8 11.4v.2",
  info: "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2zM8 7.4v3.4M8 5.2v.2",
  search: "M7 2.8a4.2 4.2 0 1 1 0 8.4 4.2 4.2 0 0 1 0-8.4zM10.2 10.2l3.4 3.4",
  sun: "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6zM8 1.4v1.4M8 13.2v1.4M1.4 8h1.4M13.2 8h1.4M3.3 3.3l1 1M11.7 11.7l1 1M3.3 12.7l1-1M11.7 4.3l1-1",
  moon: "M13 9.6A5.6 5.6 0 0 1 6.4 3a5.6 5.6 0 1 0 6.6 6.6z",
  auto: "M8 2.2a5.8 5.8 0 1 1 0 11.6zM8 2.2A5.8 5.8 0 0 0 8 13.8",
  close: "M4 4l8 8M12 4l-8 8",
  down: "M8 3v9.4M4.4 8.8 8 12.4l3.6-3.6",
  up: "M8 13V3.6M4.4 7.2 8 3.6l3.6 3.6",
  download: "M8 2.6v7M5 6.8l3 3 3-3M3 13.2h10",
  link: "M6.6 9.4l2.8-2.8M7.2 4.8l1.4-1.4a2.8 2.8 0 0 1 4 4l-1.4 1.4M8.8 11.2l-1.4 1.4a2.8 2.8 0 0 1-4-4l1.4-1.4",
  cache: "M8.8 1.8 3.6 9h3.6l-.8 5.2L11.8 7H8.2z",
} as const;

export type IconName = keyof typeof PATHS;

/** `label`: what it says, where no word beside it does. */
export function Icon({ name, label }: { name: IconName; label?: string }) {
  const drawn = (
    <path
      d={PATHS[name]}
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
    />
  );
  const looks = { class: `icon icon-${name}`, viewBox: "0 0 16 16", width: 16, height: 16 };
  return label === undefined ? (
    <svg {...looks} aria-hidden="true">
      {drawn}
    </svg>
  ) : (
    <svg {...looks} role="img" aria-label={label}>
      {drawn}
    </svg>
  );
}
