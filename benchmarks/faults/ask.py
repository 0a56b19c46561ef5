"""Runs in a rival's environment and speaks for its adapter: `python ask.py NAME about|submit|results [JSON]`."""

import importlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    name, question, *rest = sys.argv[1:]
    given = json.loads(rest[0]) if rest else {}
    adapter = importlib.import_module(f"rivals.{name}")
    if question == "about":
        answer = {"command": adapter.COMMAND, "silence": adapter.SILENCE, "note": adapter.NOTE}
    elif question == "submit":
        answer = adapter.submit(given["ids"], given["seconds"], given["how"])
    else:
        answer = adapter.results(given["ids"])
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
