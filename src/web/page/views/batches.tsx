/** All batches that may be seen, by pages. */
import { apiUrl } from "../api/client.js";
import type { BatchPage } from "../api/types.js";
import { useReload, useResource } from "../resource.js";
import { mine } from "../state.js";
import { Empty, Link, Loaded } from "../ui/basics.js";
import { BatchTable } from "./batch-table.js";

export function BatchesView({ cursor }: { cursor: string | null }) {
  const page = useResource<BatchPage>(apiUrl("batches", { cursor, limit: 50 }));
  useReload(page, 10_000);
  return (
    <>
      <h1>Batches</h1>
      <Loaded from={page}>
        {(value) => (
          <>
            {value.batches.length === 0 ? (
              <Empty title="There are no batches">
                <p>A batch runs one template for each row of a table:</p>
                <pre class="command">
                  ocluster-client batch --pool=POOL --spec=tile.spec --each=tiles.csv --name=tiles
                </pre>
              </Empty>
            ) : (
              <BatchTable batches={value.batches} showsClient={mine()?.role !== "client"} />
            )}
            <nav class="pager" aria-label="Pages">
              {cursor !== null && <Link to={{ view: "batches", cursor: null }}>Newest</Link>}
              {value.cursor !== null && (
                <Link to={{ view: "batches", cursor: value.cursor }}>Older</Link>
              )}
            </nav>
          </>
        )}
      </Loaded>
    </>
  );
}
