"""What the example does with one picture."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import pictures
import sheet
from pictures import Picture, Unreadable

Photograph = Callable[[str], Path]

PHOTOGRAPHS = [
    *("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "hubble_deep_field.jpg"),
    *("motorcycle_left.png", "motorcycle_right.png", "retina.jpg", "rocket.jpg"),
]

RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 160, 60), (40, 60, 190), (128, 128, 128)


def quarters() -> Image.Image:
    """60 × 40, with another colour in each corner."""
    picture = Image.new("RGB", (60, 40))
    for colour, corner in zip((RED, GREEN, BLUE, GREY), ((0, 0), (30, 0), (0, 20), (30, 20)), strict=True):
        picture.paste(colour, (*corner, corner[0] + 30, corner[1] + 20))
    return picture


AS_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera that writes this orientation has stored the upright picture."""


@pytest.mark.parametrize("orientation", AS_STORED)
def test_a_picture_is_turned_as_exif_says(orientation: int, tmp_path: Path) -> None:
    turn = AS_STORED[orientation]
    stored = quarters() if turn is None else quarters().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.jpg", quality=95, exif=exif)
    picture = pictures.load(tmp_path / "turned.jpg")
    assert picture.size == (60, 40)
    for corner, colour in (((5, 5), RED), ((55, 5), GREEN), ((5, 35), BLUE), ((55, 35), GREY)):
        pixel = picture.getpixel(corner)
        assert isinstance(pixel, tuple)
        assert pixel == pytest.approx(colour, abs=12)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_pictures_of_all_sorts_become_rgb(mode: str, tmp_path: Path) -> None:
    suffix = "jpg" if mode == "CMYK" else "png"
    quarters().convert(mode).save(tmp_path / f"picture.{suffix}")
    assert pictures.load(tmp_path / f"picture.{suffix}").mode == "RGB"


def test_a_broken_file_is_named_with_what_is_wrong(photograph: Photograph, tmp_path: Path) -> None:
    whole = photograph("rocket.jpg").read_bytes()
    (tmp_path / "broken.jpg").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(Unreadable, match=r"^broken\.jpg: image file is truncated"):
        pictures.load(tmp_path / "broken.jpg")


@pytest.mark.parametrize("content", [b"Dear reader", b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + b"\0" * 30])
def test_a_file_that_is_no_picture_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_bytes(content)
    with pytest.raises(Unreadable, match=r"^letter\.jpg: "):
        pictures.load(tmp_path / "letter.jpg")


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [((600, 400), 480, (480, 320)), ((400, 600), 96, (64, 96)), ((50, 40), 96, (50, 40)), ((1000, 2), 96, (96, 1))],
)
def test_a_picture_keeps_its_shape_and_is_not_enlarged(
    size: tuple[int, int], longest: int, expected: tuple[int, int]
) -> None:
    assert pictures.shrink(Image.new("RGB", size), longest).size == expected


def test_black_and_white_lines_shrink_to_half_the_light() -> None:
    """Half the light is 188 in sRGB; the mean of the values, 128, would be a fifth of it."""
    lines = Image.new("RGB", (400, 400))
    for x in range(0, 400, 2):
        lines.paste((255, 255, 255), (x, 0, x + 1, 400))
    middle = pictures.shrink(lines, 50).getpixel((25, 25))
    assert middle == (188, 188, 188)


def test_flat_colours_stay_what_they_are() -> None:
    for colour in (RED, GREEN, BLUE, GREY, (0, 0, 0), (255, 255, 255), (1, 2, 3)):
        assert pictures.shrink(Image.new("RGB", (300, 200), colour), 96).getpixel((40, 30)) == colour


def test_a_hash_outlives_scaling_encoding_and_brightening(photograph: Photograph) -> None:
    picture = pictures.load(photograph("coffee.png"))
    before = pictures.look_hash(picture)
    small = picture.resize((150, 100))
    encoded = BytesIO()
    small.save(encoded, "JPEG", quality=40)
    for same in (small, Image.open(encoded), picture.point(lambda value: value * 0.8)):
        assert pictures.distance(before, pictures.look_hash(same)) <= 4
    turned = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert pictures.distance(before, pictures.look_hash(turned)) > pictures.ALIKE


def test_only_the_two_views_of_the_motorcycle_look_the_same(photograph: Photograph) -> None:
    hashed = [Picture(name, 0, 0, pictures.look_hash(pictures.load(photograph(name))), [], []) for name in PHOTOGRAPHS]
    [(one, other, bits)] = pictures.near_duplicates(hashed)
    assert (one, other) == ("motorcycle_left.png", "motorcycle_right.png")
    assert 0 < bits <= pictures.ALIKE


def test_a_palette_is_the_colours_by_their_share() -> None:
    picture = Image.new("RGB", (100, 10), "#1e3c78")
    picture.paste("#c8281e", (50, 0, 80, 10))
    picture.paste("#f0e6d2", (80, 0, 100, 10))
    assert pictures.palette(picture) == ["#1e3c78", "#c8281e", "#f0e6d2"]


def test_a_picture_of_one_colour_has_one() -> None:
    assert pictures.palette(Image.new("RGB", (20, 20), "#000000")) == ["#000000"]
    assert pictures.palette(Image.new("RGB", (1, 1), "#ffffff")) == ["#ffffff"]


def test_an_id_is_of_name_and_content(tmp_path: Path) -> None:
    ids = set()
    for name, content in (("a", b"1"), ("a", b"2"), ("b", b"1")):
        (tmp_path / name).write_bytes(content)
        ids.add(pictures.identify(tmp_path / name))
    assert len(ids) == 3
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b").write_bytes(b"1")
    assert pictures.identify(tmp_path / "folder" / "b") == pictures.identify(tmp_path / "b")


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    pictures.write(path, b"before")
    with path.open("rb") as opened_before:
        pictures.write(path, b"after")
        assert opened_before.read() == b"before"
    assert path.read_bytes() == b"after"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_the_same_picture_gives_the_same_bytes(photograph: Photograph, tmp_path: Path) -> None:
    with Image.open(photograph("coins.png")) as coins:
        coins.resize((192, 152)).save(tmp_path / "coins.png")
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        found = pictures.examine(tmp_path / "coins.png", folder)
        assert found.thumbnails == sorted((file.name for file in folder.iterdir()), key=found.thumbnails.index)
        made.append((found, {file.name: file.read_bytes() for file in folder.iterdir()}))
    assert made[0] == made[1]
    for file, size in zip(made[0][0].thumbnails, [(192, 152), (192, 152), (96, 76)], strict=True):
        with Image.open(tmp_path / "one" / file) as thumbnail:
            assert thumbnail.size == size


def colours_of(picture: Image.Image) -> set[object]:
    return {colour for _, colour in picture.getcolors(1 << 24) or []}


@pytest.fixture
def album(tmp_path: Path) -> list[Picture]:
    colours = ["#c8281e", "#1e3c78"]
    for colour in colours:
        Image.new("RGB", (90, 60), colour).save(tmp_path / f"{colour}.webp", lossless=True)
    return [Picture(f"picture {colour}", 90, 60, "0" * 16, [colour], [f"{colour}.webp"]) for colour in colours]


def test_the_sheet_shows_every_picture_its_twin_and_the_broken_files(album: list[Picture], tmp_path: Path) -> None:
    plain = sheet.draw(album, [], [], tmp_path)
    width, card = sheet.CARD[0] + sheet.GAP, sheet.CARD[0] // 2
    for place, colour in enumerate([(200, 40, 30), (30, 60, 120), (241, 238, 232)]):
        x = sheet.MARGIN + place * width + card
        assert plain.getpixel((x, sheet.HEADER + 100)) == colour
    # The last card is the one with the broken files; without any there is only paper.
    full = sheet.draw(album, [("letter.jpg", "this is no picture")], [(album[0].name, album[1].name, 0)], tmp_path)
    assert full.size == plain.size
    assert full.getpixel((sheet.MARGIN + 2 * width + card, sheet.HEADER + 300)) == (255, 255, 255)
    rust = (180, 80, 47)
    assert rust in colours_of(full)
    assert rust not in colours_of(plain)


def test_many_broken_files_stay_on_their_card(tmp_path: Path) -> None:
    failed = [(f"broken-{number}.jpg", "image file is truncated (13 bytes not processed)") for number in range(40)]
    page = sheet.draw([], failed, [], tmp_path)
    edge = sheet.HEADER + sheet.CARD[1]
    within = page.crop((sheet.MARGIN + 15, edge - 10, sheet.MARGIN + sheet.CARD[0] - 15, edge - 1))
    assert colours_of(within) == {(255, 255, 255)}


def test_the_sheet_is_the_same_each_time_and_grows_by_rows(album: list[Picture], tmp_path: Path) -> None:
    assert sheet.draw(album, [], [], tmp_path).tobytes() == sheet.draw(album, [], [], tmp_path).tobytes()
    row = sheet.CARD[1] + sheet.GAP
    heights = [sheet.draw(album * times, [], [], tmp_path).height for times in (1, 2, 3, 4)]
    assert [height - heights[0] for height in heights] == [0, 0, row, row]


def test_a_name_that_is_too_long_is_cut_and_one_that_fits_is_not() -> None:
    assert sheet._cut("short.png", 21, 236) == "short.png"
    cut = sheet._cut("a_very_long_name_of_a_photograph_from_the_holidays.png", 21, 236)
    assert cut.startswith("a_very_long")
    assert cut.endswith("…")
    assert sheet.font(21).getlength(cut) <= 236
