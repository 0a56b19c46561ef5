"""The contact sheet: all pictures of an album on one page, with their colours, their twins, and what was broken."""

from pathlib import Path
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from pictures import Picture

COLUMNS = 4
MARGIN, GAP = 64, 32
CARD = (376, 388)
PHOTO = (376, 282)
RADIUS = 14
PAPER, WHITE, INK, GREY, RUST = "#f1eee8", "#ffffff", "#22201d", "#8b857c", "#b4502f"
HEADER = 172

Pair = tuple[str, str, int]


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The one that comes with Pillow, so that the page looks the same everywhere."""
    return ImageFont.load_default(size)


def draw(pictures: list[Picture], failed: list[tuple[str, str]], alike: list[Pair], folder: Path) -> Image.Image:
    """The page; the thumbnails are in ``folder``."""
    cards = [_card(picture, _twins(picture.name, alike), folder) for picture in pictures]
    if failed:
        cards.append(_broken(failed))
    rows = -(-len(cards) // COLUMNS)
    width = 2 * MARGIN + COLUMNS * CARD[0] + (COLUMNS - 1) * GAP
    height = HEADER + rows * (CARD[1] + GAP) - GAP + MARGIN
    page = Image.new("RGB", (width, height), PAPER)
    _title(page, len(pictures), len(alike), len(failed))
    for place, card in enumerate(cards):
        row, column = divmod(place, COLUMNS)
        _lay(page, card, MARGIN + column * (CARD[0] + GAP), HEADER + row * (CARD[1] + GAP))
    return page


def _title(page: Image.Image, pictures: int, pairs: int, failed: int) -> None:
    pen = ImageDraw.Draw(page)
    pen.text((MARGIN, 92), "Contact sheet", INK, font(52), anchor="ls")
    counts = {"pictures": pictures, "near-duplicates": pairs, "unreadable": failed}
    words = [f"{what}: {count}" for what, count in counts.items() if count]
    pen.text((MARGIN, 134), "   ·   ".join(words), GREY, font(22), anchor="ls")


def _lay(page: Image.Image, card: Image.Image, x: int, y: int) -> None:
    """Puts a card on the page, with a soft shadow below it."""
    shade = Image.new("L", (card.width + 80, card.height + 80))
    ImageDraw.Draw(shade).rounded_rectangle((40, 40, card.width + 40, card.height + 40), RADIUS, 46)
    page.paste("#3a2f22", (x - 40, y - 32), shade.filter(ImageFilter.GaussianBlur(14)))
    page.paste(card, (x, y), _rounded(card.size))


def _rounded(size: tuple[int, int], finer: int = 4) -> Image.Image:
    mask = Image.new("L", (size[0] * finer, size[1] * finer))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), RADIUS * finer, 255)
    return mask.resize(size, Image.Resampling.BOX)


def _twins(name: str, alike: list[Pair]) -> list[str]:
    return [b if a == name else a for a, b, _ in alike if name in (a, b)]


def _card(picture: Picture, twins: list[str], folder: Path) -> Image.Image:
    """A photograph in its frame, its name and size, and its colours as a row."""
    card = Image.new("RGB", CARD, WHITE)
    pen = ImageDraw.Draw(card)
    with Image.open(folder / picture.thumbnails[0]) as thumbnail:
        card.paste(ImageOps.fit(thumbnail.convert("RGB"), PHOTO, Image.Resampling.LANCZOS, centering=(0.5, 0.4)))
    pen.text((20, PHOTO[1] + 36), _cut(picture.name, 21, 236), INK, font(21), anchor="ls")
    pen.text((CARD[0] - 20, PHOTO[1] + 36), f"{picture.width} x {picture.height}", GREY, font(16), anchor="rs")
    if twins:
        pen.text((20, PHOTO[1] + 61), _cut(f"looks like {', '.join(twins)}", 16, 336), RUST, font(16), anchor="ls")
    step = (CARD[0] - 40) / len(picture.palette)
    for place, colour in enumerate(picture.palette):
        left = round(20 + place * step)
        pen.rectangle((left, CARD[1] - 32, round(20 + (place + 1) * step) - 1, CARD[1] - 18), colour)
    return card


def _broken(failed: list[tuple[str, str]]) -> Image.Image:
    """The last card: the files that are no pictures, or broken ones."""
    card = Image.new("RGB", CARD, WHITE)
    pen = ImageDraw.Draw(card)
    pen.text((20, 50), "Cannot be read", RUST, font(24), anchor="ls")
    y = 94
    for place, (name, reason) in enumerate(failed):
        lines = wrap(reason, 42)[:2]
        if y + 23 * len(lines) > CARD[1] - 60:
            pen.text((20, y), f"and {len(failed) - place} more", GREY, font(21), anchor="ls")
            break
        pen.text((20, y), _cut(name, 21, 336), INK, font(21), anchor="ls")
        for line in lines:
            y += 23
            pen.text((20, y), line, GREY, font(16), anchor="ls")
        y += 44
    return card


def _cut(text: str, size: int, width: int) -> str:
    """The text, shortened to a width in pixels."""
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
