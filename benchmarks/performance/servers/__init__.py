"""What people build when they put a queue behind HTTP themselves: `POST /start-job` and `GET /status-job/ID`."""

import os

URL = os.environ.get("STORE", "redis://localhost")
