"""The example as one command: collects photographs, starts a server, starts an album over HTTP and follows it.

python examples/thumbnails/run.py
"""

import argparse
import importlib.metadata
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

HERE = Path(__file__).parent
PHOTOGRAPHS = [
    *("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "hubble_deep_field.jpg"),
    *("motorcycle_left.png", "motorcycle_right.png", "retina.jpg", "rocket.jpg"),
]


def collect(folder: Path) -> None:
    """Photographs out of the package scikit-image, one turned copy, and two files that are broken."""
    folder.mkdir(parents=True)
    for file in importlib.metadata.files("scikit-image") or ():
        if file.name in PHOTOGRAPHS and file.parent.name == "data":
            shutil.copy(str(file.locate()), folder / file.name)
    # As a camera held upright stores it: lying on its side, and EXIF says how to turn it.
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(folder / "chelsea.png") as cat:
        small = cat.convert("RGB").resize((300, 200))
    small.transpose(Image.Transpose.ROTATE_90).save(folder / "chelsea-turned.jpg", quality=80, exif=exif)
    rocket = (folder / "rocket.jpg").read_bytes()
    (folder / "broken.jpg").write_bytes(rocket[: len(rocket) // 3])
    (folder / "letter.jpg").write_text("Dear reader, this is no picture.\n")


@contextmanager
def server(store: Path, log: Path) -> Iterator[httpx.Client]:
    """A client of a server of our own, which is ended at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("async-job")),
        *("serve", "thumbnails:jobs", "--port", str(port), "--store", f"sqlite:///{store.absolute()}"),
    ]
    with log.open("w") as lines:
        process = subprocess.Popen(command, cwd=HERE, stdout=lines, stderr=lines)
    try:
        # A proxy from the environment has no part in this.
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            if not starts(client, process):
                tail = "\n".join(log.read_text().splitlines()[-20:])
                sys.exit(f"the server did not start; the end of {shown(log)}:\n{tail}")
            print(f"server {process.pid} on {client.base_url}, log in {shown(log)}")
            yield client
    finally:
        process.terminate()
        process.wait()


def starts(client: httpx.Client, process: subprocess.Popen[bytes], seconds: float = 30) -> bool:
    """Whether the server answers before it ends, and in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return client.get("/healthz").is_success
        except httpx.TransportError:
            time.sleep(0.05)
    return False


def follow(client: httpx.Client, id: str) -> dict[str, Any]:
    """The job when it is done; tells how far it is on the way."""
    told = None
    while True:
        job: dict[str, Any] = client.get(f"/v1/jobs/{id}").raise_for_status().json()
        progress = job["progress"]
        if progress and progress != told:
            told = progress
            bar = "█" * round(progress["percent"] / 4)
            print(
                f"{progress['current']:4.0f} of {progress['total']:.0f}  {bar:·<25}  {progress['message']}", flush=True
            )
        if job["done"]:
            return job
        time.sleep(0.2)


def show(album: dict[str, Any], folder: Path) -> None:
    """The result as a table."""
    print()
    for picture in album["pictures"]:
        size = f"{picture['width']} × {picture['height']}"
        print(f"  {picture['name']:24} {size:>11}  {picture['hash']}  {' '.join(picture['palette'])}")
    for failure in album["failed"]:
        print(f"  {failure['name']:24} failed: {failure['reason']}")
    print()
    for one, other, bits in album["near_duplicates"]:
        print(f"  {one} looks like {other} ({bits} of 64 bits differ)")
    print(f"\ncontact sheet: {shown(folder / album['contact_sheet'])}")


def shown(path: Path) -> str:
    return os.path.relpath(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=HERE / "output", help="a folder that is emptied first")
    output: Path = parser.parse_args().output.absolute()
    shutil.rmtree(output, ignore_errors=True)
    collect(output / "pictures")
    # Asked to stop, it stops the server too, on its way out.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit("stopped"))
    begun = time.monotonic()
    with server(output / "jobs.db", output / "server.log") as client:
        folders = {"folder": str(output / "pictures"), "into": str(output / "album")}
        id = client.post("/start-job/album", json=folders).raise_for_status().json()
        print(f"job {id}", flush=True)
        job = follow(client, id)
    if job["state"] != "succeeded":
        sys.exit(f"the album {job['state']}: {job['error']['message']}")
    show(job["result"], output / "album")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{time.monotonic() - begun:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU")


if __name__ == "__main__":
    main()
