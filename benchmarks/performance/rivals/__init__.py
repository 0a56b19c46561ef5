"""One adapter for each project, used as its documentation advises.

Each has `workers(processes)`, the commands that start its workers; `connect()` and `close()`;
`submit(body)`, which stores one job that calls the body of that name and gives a handle; `result(handle, seconds)`,
which waits for what the job returned; and a `NOTE` on its settings. `bulk(body, count)`, where the project has
something for many jobs at once. The functions are `async` where the project's are.

In the environment: STORE, a URL; CONCURRENCY; and VARIANT: `fastest` is the project as fast as its options make it,
and the note says what it then gives up.
"""

import os

URL = os.environ.get("STORE", "redis://localhost")
CONCURRENCY = int(os.environ.get("CONCURRENCY", "10"))
VARIANT = os.environ.get("VARIANT", "")
FASTEST = VARIANT == "fastest"
POLL = 0.001
"""Where a project looks for a result again and again, it is told to do so each so many seconds."""
