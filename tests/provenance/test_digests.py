"""Files are hashed once, and every change is found."""

import hashlib
import os
import time

import pytest

from phasefront.core.errors import InputError
from phasefront.records import digests
from phasefront.records.digests import Hashing, Watch, digest, with_companions


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def large_file(path, *, age_s=60):
    """A file that is remembered; its time of modification may lie back, the change's may not."""
    path.write_bytes(os.urandom(digests.LARGE + 1000))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


@pytest.fixture
def settled(monkeypatch):
    """Files count as old enough as soon as they are there."""
    monkeypatch.setattr(digests, "RESOLUTION_NS", 0)


@pytest.fixture
def counted(monkeypatch):
    """How many bytes have been read for hashing."""
    read, chunks = [0], digests.chunks

    def counting(path):
        for chunk in chunks(path):
            read[0] += len(chunk)
            yield chunk

    monkeypatch.setattr(digests, "chunks", counting)
    return read


def test_a_large_file_is_hashed_once_for_all_jobs(folder, settled, counted):
    path = large_file(folder / "scan.blo")
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    for _ in range(5):
        watch = Watch(path)
        assert watch.finish() == expected
    assert counted[0] == path.stat().st_size


def test_a_reader_hashes_along_and_the_job_does_not_hash_again(folder, settled, counted):
    path = large_file(folder / "scan.blo")
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    watch = Watch(path)
    hashing = Hashing(path)
    hashing.advance(0.5)
    assert 0 < counted[0] < path.stat().st_size
    hashing.advance(1)
    assert hashing.finish() == watch.finish() == Hashing(path).finish() == expected
    assert counted[0] == path.stat().st_size


def test_a_file_changed_a_moment_ago_is_hashed_before_and_after(folder, counted):
    path = large_file(folder / "scan.blo")  # its change time is now
    assert Watch(path).finish() == digest(path)
    assert counted[0] == 3 * path.stat().st_size
    assert not list(folder.glob(".phasefront/digests/*"))


@pytest.mark.parametrize("move_times", [lambda path: os.link(path, f"{path}.link"), os.utime])
def test_a_file_whose_times_move_after_it_was_read_is_known_by_its_bytes(
    folder, settled, move_times
):
    path = large_file(folder / "scan.blo")
    watch = Watch(path)
    expected = Hashing(path).finish()
    time.sleep(0.02)
    move_times(path)
    assert watch.finish() == expected


def edit_in_place(path):
    """One byte is another, and size, inode and time of modification are what they were."""
    stat = path.stat()
    with path.open("r+b") as stream:
        stream.seek(1000)
        byte = stream.read(1)
        stream.seek(1000)
        stream.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def replace(path):
    other = path.with_name("other")
    *kept, last = path.read_bytes()
    other.write_bytes(bytes([*kept, last ^ 1]))
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("size", [10, digests.LARGE + 1000])
@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("change", [edit_in_place, replace, os.remove])
def test_a_change_during_a_job_is_found(folder, settled, change, remembered, size):
    path = folder / "scan.blo"
    path.write_bytes(os.urandom(max(size, 2000)))
    if remembered:
        Watch(path).finish()
    watch = Watch(path)
    time.sleep(0.02)  # longer than a tick of the file system's clock
    change(path)
    with pytest.raises(InputError, match="changed while it was being used"):
        watch.finish()


def test_a_touched_file_that_was_known_is_hashed_again_and_passes(folder, settled, counted):
    path = large_file(folder / "scan.blo")
    expected = Watch(path).finish()
    watch = Watch(path)
    os.utime(path)
    assert watch.finish() == expected
    assert counted[0] == 2 * path.stat().st_size


def test_a_damaged_memory_is_not_believed(folder, settled):
    path = large_file(folder / "scan.blo")
    expected = Watch(path).finish()
    (kept,) = folder.glob(".phasefront/digests/*.json")
    for text in ("", "[]", '{"sha256": 1}'):
        kept.write_text(text)
        assert Watch(path).finish() == expected


def test_a_folder_is_watched_with_all_files_in_it(folder, settled):
    scan = folder / "scan.zspy"
    (scan / "chunks").mkdir(parents=True)
    (scan / "chunks/0").write_bytes(b"one")
    expected = Watch(scan).finish()
    assert expected == digest(scan) == Hashing(scan).finish()
    watch = Watch(scan)
    (scan / "chunks/1").write_bytes(b"two")
    with pytest.raises(InputError):
        watch.finish()


def test_headers_and_parts_belong_to_their_scan(folder):
    for name in ("a.mib", "a.hdr", "b.mib", "c_000.tvips", "c_001.tvips", "d.blo"):
        (folder / name).touch()
    found = {
        name: [path.name for path in with_companions(folder / name)]
        for name in ("a.mib", "b.mib", "c_000.tvips", "d.blo")
    }
    assert found == {
        "a.mib": ["a.mib", "a.hdr"],
        "b.mib": ["b.mib"],
        "c_000.tvips": ["c_000.tvips", "c_001.tvips"],
        "d.blo": ["d.blo"],
    }
    assert digests.parts(folder / "c_000.tvips") == [folder / "c_001.tvips"]
    assert digests.parts(folder / "d.blo") == []


def test_the_parts_of_a_folder_are_all_files_in_it(folder):
    (folder / "scan.zspy/data").mkdir(parents=True)
    for name in (".zgroup", "data/0.0", "data/0.1"):
        (folder / "scan.zspy" / name).touch()
    found = [path.relative_to(folder / "scan.zspy") for path in digests.parts(folder / "scan.zspy")]
    assert [path.as_posix() for path in found] == [".zgroup", "data/0.0", "data/0.1"]
