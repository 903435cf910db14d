/** The bar at the top: where one can go, who one is, whether it is live. */
import type { Session } from "../api/types.js";
import type { Route } from "../routing.js";
import { helpIsOpen, live, mine, route, scheduler, signOut, type Theme, theme } from "../state.js";
import { Link } from "../ui/basics.js";
import { Icon, type IconName } from "../ui/icons.js";

const PLACES: readonly { readonly name: string; readonly to: Route; readonly views: string }[] = [
  { name: "Overview", to: { view: "overview" }, views: "overview pool worker" },
  { name: "Jobs", to: { view: "jobs", query: {} }, views: "jobs job" },
  { name: "Batches", to: { view: "batches", cursor: null }, views: "batches batch" },
  { name: "Usage", to: { view: "usage", weeks: 8 }, views: "usage" },
];

export function TopBar() {
  const who = mine()!;
  const isWhole = who.scope.kind === "all";
  return (
    <header class="top">
      <Link to={{ view: "overview" }} class="brand" aria-label="ocluster, to the overview">
        <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
          <rect x="1" y="1" width="8" height="8" rx="2" />
          <rect x="11" y="1" width="8" height="8" rx="2" opacity=".5" />
          <rect x="1" y="11" width="8" height="8" rx="2" opacity=".5" />
          <rect x="11" y="11" width="8" height="8" rx="2" />
        </svg>
        <span>ocluster</span>
      </Link>
      {isWhole && (
        <nav aria-label="Views">
          {PLACES.map(({ name, to, views }) => (
            <Link
              key={name}
              to={to}
              aria-current={views.split(" ").includes(route.value.view) ? "page" : undefined}
            >
              {name}
            </Link>
          ))}
        </nav>
      )}
      <div class="top-side">
        <LiveSign />
        <span class="who" title={roleTitle(who)}>
          {nameOf(who)}
        </span>
        <ThemeButton />
        <button
          type="button"
          class="quiet help-button"
          aria-label="Keyboard"
          title="Keyboard (?)"
          onClick={() => {
            helpIsOpen.value = true;
          }}
        >
          ?
        </button>
        <button type="button" class="quiet" onClick={() => void signOut()}>
          Sign out
        </button>
      </div>
    </header>
  );
}

function nameOf({ client, role, scope }: Session): string {
  if (scope.kind === "job") return `link to job ${scope.job}`;
  if (scope.kind === "batch") return `link to batch ${scope.batch}`;
  return client ?? role;
}

function roleTitle({ can, client, role, scope }: Session): string {
  if (scope.kind !== "all") return "This link shows that alone, and changes nothing";
  if (role === "admin") return "An administrator: sees everything, and may change it";
  if (role === "viewer") return "A viewer: sees everything, and changes nothing";
  return `The client ${client}: sees its own jobs${can.cancel ? ", and may cancel them" : ""}`;
}

function LiveSign() {
  const [tone, text, title] =
    scheduler.value?.state === "down"
      ? (["bad", "Scheduler down", "What is shown is from before"] as const)
      : live.state.value === "open" || live.state.value === "idle"
        ? (["good", "Live", "What is shown changes as the cluster does"] as const)
        : (["warn", "Connecting", "What is shown may be out of date"] as const);
  return (
    <span class={`live tone-${tone}`} title={title} role="status">
      <span class={`live-dot live-${tone}`} aria-hidden="true" />
      {text}
    </span>
  );
}

const THEMES: Readonly<Record<Theme, readonly [Theme, IconName, string]>> = {
  auto: ["light", "auto", "Colours: as the system has them"],
  light: ["dark", "sun", "Colours: light"],
  dark: ["auto", "moon", "Colours: dark"],
};

function ThemeButton() {
  const [next, icon, label] = THEMES[theme.value];
  return (
    <button
      type="button"
      class="quiet theme-button"
      aria-label={`${label}; change to ${next}`}
      title={label}
      onClick={() => {
        theme.value = next;
      }}
    >
      <Icon name={icon} />
    </button>
  );
}
