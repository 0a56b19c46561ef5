"""One adapter for each project, used as its documentation advises.

Each has `COMMAND`, which starts one worker in this folder's parent; `submit(ids, seconds, how)`, which puts jobs into
the store that call `ledger.run`, and tells the ids that they got there (`None`: those given); `results(ids)`, which
reads what the store says they gave (`None`: nothing); `SILENCE`, after how many seconds without a sign of a worker its
jobs are taken over, by the settings made here (`None`: never); and a `NOTE` on those. REDIS_URL and LEDGER are in the
environment. The longest job takes `LONGEST` seconds.
"""

import os

URL = os.environ.get("REDIS_URL", "")
LONGEST = 30
