"""What is done with one picture. Nothing here knows of jobs: the same file always gives the same bytes."""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from itertools import combinations
from pathlib import Path
from statistics import median

from PIL import Image, ImageOps, UnidentifiedImageError

SIZES = (480, 240, 96)
"""The longest sides of the thumbnails, in pixels. A picture that is smaller is not enlarged."""
COLOURS = 6
ALIKE = 10
"""Hashes that differ in at most so many of their 64 bits belong to pictures that look the same."""


class Unreadable(Exception):
    """A file is no picture, or is broken. The message begins with its name."""


@dataclass(frozen=True)
class Picture:
    """What was found out about a picture, and the names of its thumbnails, the largest first."""

    name: str
    width: int
    height: int
    hash: str
    palette: list[str]
    thumbnails: list[str]


def examine(path: Path, into: Path) -> Picture:
    """Writes the thumbnails of a picture, and tells what it looks like."""
    picture = load(path)
    name = identify(path)
    thumbnails = [shrink(picture, size) for size in SIZES]
    files = [f"{name}-{size}.webp" for size in SIZES]
    for thumbnail, file in zip(thumbnails, files, strict=True):
        write(into / file, encode(thumbnail, "WEBP", quality=85, method=6))
    return Picture(path.name, *picture.size, look_hash(picture), palette(thumbnails[1]), files)


def identify(path: Path) -> str:
    """An id made of a file's name and content: whoever works on it again writes the same files again."""
    return sha256(path.name.encode() + b"\0" + path.read_bytes()).hexdigest()[:16]


def load(path: Path) -> Image.Image:
    """The picture in RGB and upright: cameras store it as the sensor lay, and how to turn it in EXIF."""
    try:
        with Image.open(path) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except UnidentifiedImageError as error:
        raise Unreadable(f"{path.name}: this is no picture") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(f"{path.name}: {error}") from error


def _light(value: float) -> float:
    """sRGB to light, both from 0 to 1."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _srgb(light: float) -> float:
    return light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


TO_LIGHT = [65535 * _light(value / 255) for value in range(256)]
FROM_LIGHT = [round(255 * _srgb(light / 65535)) for light in range(65536)]


def shrink(picture: Image.Image, longest: int) -> Image.Image:
    """Lanczos on light instead of on sRGB's values, whose mean is too dark: stars and fine texture stay bright."""
    scale = min(1.0, longest / max(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    if size == picture.size:
        return picture
    bands = [band.point(TO_LIGHT, "F").resize(size, Image.Resampling.LANCZOS) for band in picture.split()]
    return Image.merge("RGB", [band.convert("I").point(FROM_LIGHT, "L") for band in bands])


def look_hash(picture: Image.Image, side: int = 32, kept: int = 8) -> str:
    """64 bits, in hex, of how a picture looks (pHash): which of its slowest waves lie above their median.

    It stays nearly the same when the picture is scaled, re-encoded or brightened.
    """
    pixels = picture.convert("L").resize((side, side), Image.Resampling.LANCZOS).tobytes()
    waves = [[math.cos(math.pi / side * (x + 0.5) * wave) for x in range(side)] for wave in range(kept)]
    rows = [[_dot(pixels[y * side : (y + 1) * side], wave) for wave in waves] for y in range(side)]
    strengths = [_dot(column, wave) for wave in waves for column in zip(*rows, strict=True)]
    # The first is the brightness of the whole.
    middle = median(strengths[1:])
    return f"{sum((strength > middle) << bit for bit, strength in enumerate(strengths)):016x}"


def _dot(a: Iterable[float], b: Iterable[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def distance(a: str, b: str) -> int:
    """In how many bits two hashes differ, from 0 to 64."""
    return (int(a, 16) ^ int(b, 16)).bit_count()


def near_duplicates(found: list[Picture]) -> list[tuple[str, str, int]]:
    """The pairs that look the same, by name, with their distance."""
    pairs = [(a.name, b.name, distance(a.hash, b.hash)) for a, b in combinations(found, 2)]
    return [pair for pair in pairs if pair[2] <= ALIKE]


Colour = tuple[float, float, float]


def palette(picture: Image.Image, rounds: int = 10) -> list[str]:
    """The main colours as #rrggbb, the most frequent first: k-means in Oklab, where distances are as the eye's."""
    raw = picture.tobytes()
    pixels = [_oklab(*raw[at : at + 3]) for at in range(0, len(raw), 3)]
    centres = _far_apart(pixels, COLOURS)
    groups: list[list[Colour]] = []
    for _ in range(rounds):
        groups = [[] for _ in centres]
        for pixel in pixels:
            groups[_nearest(pixel, centres)].append(pixel)
        moved = [_mean(group) if group else centre for group, centre in zip(groups, centres, strict=True)]
        if moved == centres:
            break
        centres = moved
    ranked = sorted(zip(groups, centres, strict=True), key=lambda pair: (-len(pair[0]), pair[1]))
    return [_hex(*centre) for group, centre in ranked if group]


def _far_apart(pixels: list[Colour], count: int) -> list[Colour]:
    """Colours to begin with: the mean, then again and again the one furthest from all before. No chance in it."""
    chosen = [_mean(pixels)]
    gaps = [math.dist(pixel, chosen[0]) for pixel in pixels]
    while len(chosen) < count:
        chosen.append(pixels[max(range(len(pixels)), key=gaps.__getitem__)])
        gaps = [min(gap, math.dist(pixel, chosen[-1])) for gap, pixel in zip(gaps, pixels, strict=True)]
    return chosen


def _nearest(pixel: Colour, centres: list[Colour]) -> int:
    distances = [math.dist(pixel, centre) for centre in centres]
    return distances.index(min(distances))


def _mean(colours: list[Colour]) -> Colour:
    lightness, a, b = (math.fsum(values) / len(colours) for values in zip(*colours, strict=True))
    return lightness, a, b


def _oklab(red: int, green: int, blue: int) -> Colour:
    r, g, b = TO_LIGHT[red] / 65535, TO_LIGHT[green] / 65535, TO_LIGHT[blue] / 65535
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    medium = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _hex(lightness: float, a: float, b: float) -> str:
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    lights = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _srgb(min(1.0, max(0.0, light)))):02x}" for light in lights)


def encode(picture: Image.Image, format: str, **options: object) -> bytes:
    """The bytes of a file."""
    buffer = BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def write(path: Path, content: bytes) -> None:
    """Writes a file that is there as a whole or not at all, whenever the process is killed."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)
