// Drives a job from start to result with nothing but what the document says.

import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const client = createClient<paths>({ baseUrl: process.argv[2] });

const started = await client.POST("/v1/job-types/add/jobs", { body: { a: 40, b: 2 } });
if (started.data === undefined) throw new Error(started.error.detail);

let job = started.data;
while (!job.done) {
  const read = await client.GET("/v1/jobs/{id}", {
    params: { path: { id: job.id }, header: { Prefer: "wait=20" } },
  });
  if (read.data === undefined) throw new Error(read.error?.detail ?? "not modified");
  job = { ...job, ...read.data, type: job.type, input: job.input, result: read.data.result as number | null };
}

const sum: number | null = job.result;

const submitted = await client.POST("/v1/jobs", {
  body: { type: "add", input: { a: 1 }, priority: 3, on_conflict: "return_existing", labels: { from: "typescript" } },
});
const refused = await client.POST("/v1/jobs/{id}/cancel", { params: { path: { id: job.id } } });

// @ts-expect-error the function takes numbers
const wrong = await client.POST("/v1/job-types/add/jobs", { body: { a: "forty", b: 2 } });

console.log(
  JSON.stringify({
    state: job.state,
    sum,
    submitted: submitted.data?.type,
    refused: refused.error?.code,
    wrong: wrong.error?.code,
  }),
);
