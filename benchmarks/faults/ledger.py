"""What a job does in the fault benchmarks: it writes down that it starts and that it ends, in a file outside any store.

One line is one write to a file opened for appending: `start ID PID SECONDS`. Standard library only, for it is imported
in the rivals' environments. The result of a job is the pid that ran it, so that the one that is kept can be told.
"""

import asyncio
import ctypes
import os
import time

STEP = 0.1


def write(what: str, id: str) -> None:
    file = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{what} {id} {os.getpid()} {time.monotonic():.3f}\n".encode())
    finally:
        os.close(file)


def run(id: str, seconds: float, how: str) -> str:
    """`sleep`: many small steps, so that what is left to do does not pass while the process is stopped. `block`: one
    long wait. `hold`: a C call that does not let go of the interpreter."""
    write("start", id)
    if how == "hold":
        # A PyDLL, unlike a CDLL, keeps the interpreter's lock during its calls.
        libc = ctypes.PyDLL(None)
        libc.sleep(int(seconds))
    elif how == "block":
        time.sleep(seconds)
    else:
        for _ in range(round(seconds / STEP)):
            time.sleep(STEP)
    write("end", id)
    return str(os.getpid())


async def run_async(id: str, seconds: float, how: str) -> str:
    """The same on an event loop, which only `sleep` leaves free."""
    if how != "sleep":
        return run(id, seconds, how)
    write("start", id)
    for _ in range(round(seconds / STEP)):
        await asyncio.sleep(STEP)
    write("end", id)
    return str(os.getpid())
