"""Files are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compiler.files import write_text


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "naïve\nα\n")
    assert path.read_bytes() == "naïve\nα\n".encode()
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("old")
    (tmp_path / "link").symlink_to("file.txt")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file.txt").read_text() == "new"


def test_what_is_no_ordinary_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is no ordinary file") as found:
        write_text(tmp_path / "pipe", "new")
    assert found.value.filename == str(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_a_refusal_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as found:
        write_text(tmp_path / "nowhere" / "file.txt", "new")
    assert found.value.filename == str(tmp_path / "nowhere" / "file.txt")
