/** The files of a result that are kept. */
import { writeSize } from "../../../text/units.js";
import { apiUrl } from "../api/client.js";
import type { OutputEntry, Outputs } from "../api/types.js";
import { count, counted } from "../format.js";
import { useResource } from "../resource.js";
import { Loaded, None, Section } from "../ui/basics.js";
import { Icon } from "../ui/icons.js";

const SHOWN = 500;

export function OutputFiles({ job }: { job: number }) {
  const files = useResource<Outputs>(apiUrl(`jobs/${job}/outputs`, { limit: SHOWN }));
  return (
    <Section title="Files" id="files">
      <Loaded from={files}>
        {({ attempt, entries, total }) => (
          <>
            <p class="muted">
              {counted(total, "entry", "entries")} of attempt {attempt}. All of them at once:{" "}
              <code>ocluster-client fetch {job} --output=…</code>
            </p>
            <div class="table-wrap">
              <table class="table narrow">
                <caption class="hidden">Files of the result</caption>
                <thead>
                  <tr>
                    <th scope="col">Path</th>
                    <th scope="col">Mode</th>
                    <th scope="col" class="num">
                      Size
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {entries.map((entry) => (
                    <Row key={entry.path} job={job} attempt={attempt} entry={entry} />
                  ))}
                </tbody>
              </table>
            </div>
            {total > entries.length && (
              <p class="muted">and {count(total - entries.length)} more</p>
            )}
          </>
        )}
      </Loaded>
    </Section>
  );
}

function Row({ job, attempt, entry }: { job: number; attempt: number; entry: OutputEntry }) {
  const { mode, path, size, target, type } = entry;
  return (
    <tr>
      <td data-label="Path" class="wide">
        {type === "file" ? (
          <a href={apiUrl(`jobs/${job}/outputs/file`, { path, attempt })} download>
            <Icon name="download" /> {path}
          </a>
        ) : (
          <span>
            {path}
            {type === "dir" && "/"}
            {target !== null && <span class="muted"> → {target}</span>}
          </span>
        )}
      </td>
      <td data-label="Mode">
        <code>{mode}</code>
      </td>
      <td class="num" data-label="Size">
        {type === "file" ? writeSize(size) : <None />}
      </td>
    </tr>
  );
}
