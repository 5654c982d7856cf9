"""Open files and files on the disk are found, by whatever way they are named."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.server import navigation
from runtime.server.diagnostics import shown
from runtime.server.documents import Documents, uri_of

MAIN = "language 1\nimport b\nop main = one\n"
OTHER = "language 1\nop one = relu\n"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    documents, path = Documents(), tmp_path / "b.darts"
    path.write_text(OTHER, encoding="utf-8")
    assert documents.at(path).lines.text == OTHER
    path.write_text(OTHER * 2, encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert documents.at(path).lines.text == OTHER * 2


def test_an_open_file_keeps_its_name(tmp_path: Path) -> None:
    """What the editor opened through a link is not another file where an import leads to it."""
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    (folder / "b.darts").write_text(OTHER.replace("relu", "rel"), encoding="utf-8")
    documents = Documents()
    documents.put(uri_of(link / "b.darts"), OTHER, 1)
    documents.put(uri_of(folder / "main.darts"), MAIN, 1)
    main = documents.open[uri_of(folder / "main.darts")]
    found = navigation.definition(documents, main, main.lines.position(MAIN.index("one")))
    assert found is not None and found.uri == uri_of(link / "b.darts")
    by_file = shown(documents, main, documents.analysis(main).diagnostics)
    assert list(by_file) == [uri_of(link / "b.darts")]


def test_never_saved() -> None:
    """A text without a file imports what is shipped."""
    documents = Documents()
    documents.put("untitled:one", "language 1\nimport std\nop two = sep_conv(3)\n", 1)
    document = documents.open["untitled:one"]
    assert document.path is None and "sep_conv" in documents.imported(document)
    assert documents.analysis(document).is_sound
