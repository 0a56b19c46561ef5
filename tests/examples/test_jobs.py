"""The example's jobs: called as plain functions, and run without a server."""

import asyncio
from pathlib import Path

import pytest
from PIL import Image

import thumbnails
from async_job import State
from async_job.testing import JobTester, job_tester
from pictures import Unreadable
from thumbnails import Album, Failure

tester = job_tester(thumbnails.jobs)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((120, 80)).save(path)
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    return folder


def test_a_finished_picture_is_not_made_again(picture: Path, into: Path) -> None:
    first = thumbnails.thumbnail(str(picture), str(into))
    assert (first.name, first.width, first.height) == ("picture.png", 120, 80)
    (into / first.thumbnails[0]).unlink()
    assert thumbnails.thumbnail(str(picture), str(into)) == first
    assert not (into / first.thumbnails[0]).exists()


def test_a_picture_that_was_cut_off_before_its_record_is_made_again(picture: Path, into: Path) -> None:
    whole = thumbnails.thumbnail(str(picture), str(into))
    before = {path.name: path.read_bytes() for path in into.iterdir()}
    [record] = into.glob("*.json")
    record.unlink()
    (into / whole.thumbnails[1]).write_bytes(b"half")
    assert thumbnails.thumbnail(str(picture), str(into)) == whole
    assert {path.name: path.read_bytes() for path in into.iterdir()} == before


def test_another_content_under_the_same_name_is_another_picture(picture: Path, into: Path) -> None:
    first = thumbnails.thumbnail(str(picture), str(into))
    Image.new("RGB", (50, 50), "#1e3c78").save(picture)
    second = thumbnails.thumbnail(str(picture), str(into))
    assert (second.width, second.height) == (50, 50)
    assert not set(first.thumbnails) & set(second.thumbnails)


def test_a_broken_file_leaves_nothing_behind(tmp_path: Path, into: Path) -> None:
    (tmp_path / "letter.jpg").write_text("Dear reader")
    with pytest.raises(Unreadable, match=r"^letter\.jpg: "):
        thumbnails.thumbnail(str(tmp_path / "letter.jpg"), str(into))
    assert list(into.iterdir()) == []


def test_the_contact_sheet_sweeps_what_was_cut_off(picture: Path, into: Path) -> None:
    found = thumbnails.thumbnail(str(picture), str(into))
    (into / "0123456789abcdef-96.webp.4711.part").write_bytes(b"half")
    file = thumbnails.contact_sheet([found], [Failure("letter.jpg", "this is no picture")], [], str(into))
    assert file == "contact-sheet.png"
    assert {path.name for path in into.iterdir()} == {file, *found.thumbnails, f"{found.thumbnails[0][:16]}.json"}
    with Image.open(into / file) as page:
        assert page.format == "PNG"


def test_the_files_of_a_folder_come_in_order_and_without_folders(picture: Path, tmp_path: Path) -> None:
    (tmp_path / "another.png").write_bytes(picture.read_bytes())
    (tmp_path / "folder").mkdir()
    files = thumbnails.prepare(tmp_path, tmp_path / "new" / "album")
    assert [file.name for file in files] == ["another.png", "picture.png"]
    assert (tmp_path / "new" / "album").is_dir()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures that look the same, one that does not, and a letter."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    gradient = Image.linear_gradient("L")
    gradient.resize((60, 40)).save(folder / "a.png")
    gradient.resize((90, 60)).save(folder / "b.jpg")
    Image.radial_gradient("L").resize((60, 40)).save(folder / "c.png")
    (folder / "letter.jpg").write_text("Dear reader")
    return folder


async def make_album(tester: JobTester, folder: Path, into: Path) -> Album:
    """The album waits for its pictures, so it runs here, and they beside it."""
    running = asyncio.ensure_future(thumbnails.album(str(folder), str(into)))
    while not running.done():
        await tester.run_due()
        await asyncio.sleep(0)
    return await running


async def test_an_album_is_a_job_a_picture_and_one_for_the_sheet(
    tester: JobTester, folder: Path, tmp_path: Path
) -> None:
    into = tmp_path / "new"
    album = await make_album(tester, folder, into)
    assert [picture.name for picture in album.pictures] == ["a.png", "b.jpg", "c.png"]
    assert album.failed == [Failure("letter.jpg", "this is no picture")]
    assert [(one, other) for one, other, _ in album.near_duplicates] == [("a.png", "b.jpg")]
    assert (into / album.contact_sheet).is_file()
    tester.assert_submitted(thumbnails.thumbnail, path=str(folder / "b.jpg"), into=str(into))
    assert len(tester.submitted(thumbnails.thumbnail)) == 4
    assert len(tester.submitted(thumbnails.contact_sheet)) == 1


async def test_names_may_be_as_long_as_a_file_system_has_them(tester: JobTester, tmp_path: Path) -> None:
    name = f"{'n' * 249}\x1b.png"
    (tmp_path / "pictures").mkdir()
    Image.linear_gradient("L").save(tmp_path / "pictures" / name)
    album = await make_album(tester, tmp_path / "pictures", tmp_path / "new")
    assert ([picture.name for picture in album.pictures], album.failed) == ([name], [])


async def test_a_broken_file_is_tried_once(tester: JobTester, folder: Path, tmp_path: Path) -> None:
    await make_album(tester, folder, tmp_path / "new")
    broken = tester.assert_submitted(thumbnails.thumbnail, path=str(folder / "letter.jpg"))
    assert (broken.state, broken.attempt) == (State.FAILED, 1)
    tester.advance(3600)
    assert await tester.run_due() == []


async def test_an_album_that_starts_over_gives_the_same(tester: JobTester, folder: Path, tmp_path: Path) -> None:
    into = tmp_path / "new"
    first = await make_album(tester, folder, into)
    files = {path.name: path.read_bytes() for path in into.iterdir()}
    assert await make_album(tester, folder, into) == first
    assert {path.name: path.read_bytes() for path in into.iterdir()} == files
