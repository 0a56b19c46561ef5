"""One module a fault, `row_NN_what.py`: `async def run(scene: Scene) -> RowResult`.

The first line of its docstring names the fault. It may set `STORES` (default: both), `LIMIT`, the
seconds that it may take at full scale, and `ALONE`: its bounds in time mean something only when nothing else is played.
A function `missing() -> str` says what it takes that this machine does not have, if there is something.
"""
