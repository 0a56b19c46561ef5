"""Makes the rivals' environments, outside the project's own: one folder each, with the versions of rivals.toml.

    python benchmarks/prepare.py [--only arq --only saq] [--envs FOLDER]

An environment that already holds what is pinned is left as it is. Other scripts call `prepare(name, envs)` and get the
path of the interpreter.
"""

import argparse
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TypedDict

HERE = Path(__file__).resolve().parent
ENVS = HERE / ".envs"
INSTALL_TIMEOUT = 600


class Rival(TypedDict):
    about: str
    packages: list[str]


def rivals() -> dict[str, Rival]:
    """All rivals by name, in the order of the file."""
    return tomllib.loads((HERE / "rivals.toml").read_text())


def versions(name: str) -> str:
    """What is pinned for a rival, as one line for a table: `arq 0.28.0, redis 5.3.1`."""
    return ", ".join(package.partition("[")[0].replace("==", " ") if "[" not in package
                     else f"{package.partition('[')[0]} {package.partition('==')[2]}"
                     for package in rivals()[name]["packages"])  # fmt: skip


def prepare(name: str, envs: Path = ENVS) -> Path:
    """The interpreter of the rival's environment, which is made if it is missing or holds other versions."""
    packages = rivals()[name]["packages"]
    folder = envs.resolve() / name
    python = folder / "bin" / "python"
    stamp = folder / "packages.txt"
    wanted = "\n".join([sys.version, *packages])
    if stamp.exists() and stamp.read_text() == wanted and python.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=INSTALL_TIMEOUT)
    subprocess.run(
        [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install", *packages],
        check=True,
        timeout=INSTALL_TIMEOUT,
    )
    stamp.write_text(wanted)
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(rivals()), help="this rival (may be given again)")
    parser.add_argument("--envs", type=Path, default=ENVS, help="where the environments are kept (%(default)s)")
    arguments = parser.parse_args()
    for name in arguments.only or rivals():
        print(f"{name}: {versions(name)}: {prepare(name, arguments.envs)}", flush=True)


if __name__ == "__main__":
    main()
