/** The numbers that a worker exports, by name. */
import { useSignal } from "@preact/signals";
import { count } from "../format.js";
import { Empty } from "../ui/basics.js";

/** Of Node's own and of histograms there are many, and who wants them asks. */
const SELDOM = /^(?:nodejs_|process_)|_bucket\{/;

export function Metrics({ metrics }: { metrics: Readonly<Record<string, number>> }) {
  const all = useSignal(false);
  const names = Object.keys(metrics).sort();
  const shown = all.value ? names : names.filter((name) => !SELDOM.test(name));
  if (names.length === 0) return <Empty title="It exports nothing" />;
  return (
    <>
      <div class="table-wrap">
        <table class="table narrow">
          <caption class="hidden">Metrics</caption>
          <thead>
            <tr>
              <th scope="col">Metric</th>
              <th scope="col" class="num">
                Value
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((name) => (
              <tr key={name}>
                <td data-label="Metric" class="wide">
                  <code>{name}</code>
                </td>
                <td class="num" data-label="Value">
                  {written(metrics[name]!)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < names.length && (
        <button
          type="button"
          onClick={() => {
            all.value = true;
          }}
        >
          Show all {count(names.length)}
        </button>
      )}
    </>
  );
}

function written(value: number): string {
  return Number.isInteger(value) ? count(value) : String(Math.round(value * 1000) / 1000);
}
