"""The protocol, spoken with a server in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.server.documents import uri_of

ROOT = Path(__file__).resolve().parents[3]
CIFAR = ROOT / "spaces" / "cifar_cell.darts"
NETWORK = """
network(C = 4) from image[3, 8, 8] to class[10] {
    a = image -> conv(3, out: C) -> one
    return a -> global_pool(mean) -> linear(10)
}
"""
WITHOUT_TORCH = """
import sys
from runtime.server import serve
serve()
assert not {"torch", "sklearn", "pygments"} & set(sys.modules)
"""
WITHOUT_PYGLS = """
import sys
sys.modules["pygls.lsp.server"] = sys.modules["pygls"] = None
from runtime.errors import UserError
try:
    import runtime.server
except UserError as error:
    assert str(error).count("\\n") == 0 and "pip install 'dartsc[lsp]'" in str(error)
else:
    raise AssertionError
"""
PATIENT = """
from runtime.server import serve, server
server.PAUSE = 1
serve()
"""
BROKEN = """
import runtime.server.analysis as analysis
right = analysis.check
def check(space):
    if "broken" in space.source.text:
        raise ZeroDivisionError
    return right(space)
analysis.check = check
from runtime.server import serve
serve()
"""


def test_life(editor: Any, tmp_path: Path) -> None:
    """A fault while typing is shown at its place, with where else it matters, and goes away."""
    text = f"language 1\nop one = relu\nop one = tanh\n{NETWORK}"
    uri = editor.open(tmp_path / "a.darts", text)
    (found,) = editor.diagnostics(uri)
    assert (found["code"], found["severity"], found["source"]) == ("E0202", 1, "dartsc")
    assert found["range"]["start"] == {"line": 2, "character": 3}
    assert found["message"] == "`one` is already declared\nhelp: choose another name"
    (related,) = found["relatedInformation"]
    assert related["location"]["uri"] == uri
    assert related["location"]["range"]["start"] == {"line": 1, "character": 3}
    editor.change(uri, text.replace("op one = tanh", ""), 2)
    assert editor.diagnostics(uri, 2) == []
    editor.notify("textDocument/didClose", textDocument={"uri": uri})
    assert editor.diagnostics(uri, None) == []
    assert editor.leave() == 0
    assert editor.errors == []


def test_warning(editor: Any, tmp_path: Path) -> None:
    """What is never used is a warning that editors fade."""
    text = f"language 1\nop one = relu\nop two = relu\n{NETWORK}"
    (found,) = editor.diagnostics(editor.open(tmp_path / "a.darts", text))
    assert (found["code"], found["severity"], found["tags"]) == ("W0201", 2, [1])


def test_the_last_text_is_checked(start: Callable[..., Any], tmp_path: Path) -> None:
    """Of changes in quick succession only the last is checked."""
    editor = start(PATIENT)
    uri = editor.open(tmp_path / "a.darts", "language 1\n")
    editor.diagnostics(uri)
    for version in range(2, 12):
        editor.change(uri, "language 1\n" + "op\n" * version, version)
    (found,) = editor.diagnostics(uri, 11)
    assert found["code"] == "E0105"
    published = [m for m in editor.others if m.get("method") == "textDocument/publishDiagnostics"]
    assert published == []


def test_fault_in_an_import(editor: Any, tmp_path: Path) -> None:
    """It is shown in the imported file, and goes away when that file is saved without it."""
    other = tmp_path / "b.darts"
    other.write_text("language 1\nop one = tan\n", encoding="utf-8")
    uri = editor.open(tmp_path / "a.darts", f"language 1\nimport b\n{NETWORK}")
    (found,) = editor.diagnostics(uri_of(other), None)
    assert found["code"] == "E0201"
    assert editor.diagnostics(uri) == []
    other.write_text("language 1\nop one = tanh\n", encoding="utf-8")
    editor.notify("textDocument/didSave", textDocument={"uri": uri})
    assert editor.diagnostics(uri_of(other), None) == []


def test_open_import_speaks_for_itself(editor: Any, tmp_path: Path) -> None:
    """A file that is open shows the faults of its own text, not of the one on the disk."""
    other = tmp_path / "b.darts"
    other.write_text("language 1\nop one = tan\n", encoding="utf-8")
    own = editor.open(other, "language 1\nop one = tanh\n")
    assert editor.diagnostics(own) == []
    editor.open(tmp_path / "a.darts", f"language 1\nimport b\n{NETWORK}")
    assert editor.diagnostics(own) == []


def test_answers(editor: Any) -> None:
    """Every request, on the shipped space."""
    text = CIFAR.read_text(encoding="utf-8")
    uri = editor.open(CIFAR, text)
    assert editor.diagnostics(uri) == []
    shown = editor.ask("hover", uri, text, "normal(C, stride")["contents"]
    assert shown["kind"] == "markdown" and "cell normal(C, stride = 1)" in shown["value"]
    place = editor.ask("definition", uri, text, "project(C, stride")
    assert place["uri"] == uri_of(ROOT / "spaces" / "std.darts")
    for include, count in ((True, 3), (False, 2)):
        context = {"includeDeclaration": include}
        assert len(editor.ask("references", uri, text, "candidates", context=context)) == count
    assert editor.ask("prepareRename", uri, text, "stem =")["start"]["character"] == 4
    edit = editor.ask("rename", uri, text, "stem =", newName="root")
    assert [e["newText"] for e in edit["changes"][uri]] == ["root"] * 3
    document = {"uri": uri}
    symbols = editor.request("textDocument/documentSymbol", textDocument=document)
    assert [s["name"] for s in symbols][:3] == ["candidates", "normal", "reduce"]
    items = editor.ask("completion", uri, text, "candidates(stride")
    assert next(item["label"] for item in items) == "candidates"
    assert editor.leave() == 0


def test_rename_says_why_not(editor: Any, tmp_path: Path) -> None:
    text = f"language 1\nop one = relu\n{NETWORK}"
    uri = editor.open(tmp_path / "a.darts", text)
    assert editor.ask("rename", uri, text, "one", newName="node") is None
    said = editor.wait(lambda message: message.get("method") == "window/showMessage")
    assert said["params"]["message"] == "`node` cannot be a name"


def test_formatting(editor: Any, tmp_path: Path) -> None:
    """One edit for the whole text; none where there is nothing to do, or no sense in the text."""
    text = "language 1\n\nop one = relu\n"
    uri = editor.open(tmp_path / "a.darts", text.replace("= relu", "=   relu"))
    how = {"textDocument": {"uri": uri}, "options": {"tabSize": 4, "insertSpaces": True}}
    (edit,) = editor.request("textDocument/formatting", **how)
    assert edit["newText"] == text
    assert edit["range"]["end"] == {"line": 3, "character": 0}
    editor.change(uri, text, 2)
    assert editor.request("textDocument/formatting", **how) == []
    editor.change(uri, "language 1\nop", 3)
    assert editor.request("textDocument/formatting", **how) == []


@pytest.mark.parametrize(("encoding", "width"), [(None, 2), ("utf-8", 4), ("utf-32", 1)])
def test_positions(
    start: Callable[..., Any], tmp_path: Path, encoding: str | None, width: int
) -> None:
    """Places are counted as the editor counts, characters beyond the first plane too."""
    editor = start(encodings=None if encoding is None else [encoding])
    assert editor.capabilities["positionEncoding"] == (encoding or "utf-16")
    uri = editor.open(tmp_path / "a.darts", "language 1\n# 𝛼𝛽\nop a = 𝛼 nothing\n")
    (found,) = editor.diagnostics(uri)
    assert found["range"] == {
        "start": {"line": 2, "character": 7},
        "end": {"line": 2, "character": 7 + width},
    }


def test_never_imports_torch(start: Callable[..., Any]) -> None:
    """Nothing that the server answers takes the seconds, and the memory, of torch."""
    editor = start(WITHOUT_TORCH)
    text = CIFAR.read_text(encoding="utf-8")
    uri = editor.open(CIFAR, text)
    assert editor.diagnostics(uri) == []
    for what in ("hover", "definition", "completion"):
        assert editor.ask(what, uri, text, "normal(C * 2")
    editor.request("textDocument/documentSymbol", textDocument={"uri": uri})
    assert editor.leave() == 0, b"".join(editor.errors).decode()


def test_a_fault_of_ours_is_logged(start: Callable[..., Any], tmp_path: Path) -> None:
    """The server says so, and goes on to check the next text."""
    editor = start(BROKEN)
    uri = editor.open(tmp_path / "a.darts", f"language 1\n# broken\nop one = relu\n{NETWORK}")
    said = editor.wait(lambda message: message.get("method") == "window/logMessage")
    assert "fault of dartsc" in said["params"]["message"]
    editor.change(uri, f"language 1\nop one = relu\n{NETWORK}", 2)
    assert editor.diagnostics(uri, 2) == []
    assert editor.leave() == 0
    assert b"ZeroDivisionError" in b"".join(editor.errors)


def test_a_request_that_fails_is_logged(editor: Any, tmp_path: Path) -> None:
    """A request about what is not open is answered with an error; the server lives on."""
    editor.send(id="x", method="textDocument/hover", params={
        "textDocument": {"uri": "file:///nowhere.darts"}, "position": {"line": 0, "character": 0},
    })  # fmt: skip
    assert "error" in editor.wait(lambda message: message.get("id") == "x")
    assert editor.diagnostics(editor.open(tmp_path / "a.darts", "language 1\n")) == []


def test_without_the_packages() -> None:
    """Whoever lacks them is told what to install."""
    subprocess.run([sys.executable, "-c", WITHOUT_PYGLS], cwd=ROOT, check=True)
