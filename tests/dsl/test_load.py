"""Finding and reading files, and what an import makes visible."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsl import DartsError, Space, ast, load, load_text
from dsl.files import SHIPPED
from dsl.limits import MAX_BYTES


def codes(raised: pytest.ExceptionInfo[DartsError]) -> list[str]:
    return [diagnostic.code for diagnostic in raised.value.diagnostics]


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.darts").write_text("language 1\n" + text, encoding="utf-8")


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.darts")), ids=lambda path: path.stem)
def test_shipped_spaces_load(path: Path) -> None:
    space = load(path)
    assert space.name == path.stem
    assert space.source.name == str(path)


def test_shipped_space_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    space = load("spaces/cifar_cell.darts")
    assert space.source.name == "spaces/cifar_cell.darts"
    assert space.network is not None
    assert [p.phase for p in space.profiles.values()] == ["search", "final", None]


def test_file_on_disk_goes_before_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spaces").mkdir()
    write(tmp_path / "spaces", std="op mine = relu\n")
    assert next(iter(load("spaces/std.darts").scopes.values())).keys() == {"mine"}


def test_scopes_are_those_of_every_file() -> None:
    space = load("spaces/cifar_cell.darts")
    assert space.network is not None
    assert {"normal", "candidates", "sep_conv"} <= space.scope(space.network).keys()
    sep_conv = space.scope(space.network)["sep_conv"]
    assert "norm" in space.scope(sep_conv)
    assert "normal" not in space.scope(sep_conv)


def test_text_without_a_folder_sees_shipped_files() -> None:
    space = load_text("language 1\nimport std\nop f = sep_conv(3)\n")
    assert space.name == "space"
    assert space.network is None


def test_import_beside_goes_before_a_shipped_one(tmp_path: Path) -> None:
    write(tmp_path, std="op mine = relu\n", main="import std\nop f = mine\n")
    assert isinstance(load(tmp_path / "main.darts"), Space)


def test_import_reaches_folders_below(tmp_path: Path) -> None:
    (tmp_path / "ops").mkdir()
    write(tmp_path / "ops", mine="import helper\nop mine = helper\n", helper="op helper = relu\n")
    write(tmp_path, main="import ops/mine\nop f = mine\n")
    space = load(tmp_path / "main.darts")
    assert sorted(Path(source.name).name for source in space.scopes) == [
        "helper.darts",
        "main.darts",
        "mine.darts",
    ]


def test_file_imported_by_two_is_one(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="op a = relu\n",
        b="import a\nop b = a\n",
        main="import a\nimport b\nop f = a -> b\n",
    )
    space = load(tmp_path / "main.darts")
    declared = [scope["a"] for scope in space.scopes.values()]
    assert len(space.scopes) == 3
    assert all(declaration is declared[0] for declaration in declared)


def test_import_brings_no_network_and_no_profiles() -> None:
    space = load_text("language 1\nimport cifar_cell\nop f = auxiliary_head(3)\n")
    assert space.network is None
    assert space.profiles == {}


def test_link_must_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    write(tmp_path, secret="op f = relu\n")
    write(inside, main="import secret\n")
    (inside / "secret.darts").symlink_to(tmp_path / "secret.darts")
    with pytest.raises(DartsError, match="leads out of its folder"):
        load(inside / "main.darts")


def test_faults_of_all_files_come_together(tmp_path: Path) -> None:
    write(tmp_path, a="op a = rel\n", b="op b = = relu\n")
    write(tmp_path, main="import a\nimport b\nimport missing\nop f = unknown -> conv(3, 4)\n")
    with pytest.raises(DartsError) as raised:
        load(tmp_path / "main.darts")
    # What an import that failed would have brought is not known, so `unknown` may be right.
    assert codes(raised) == ["E0201", "E0105", "E0108", "E0303"]


def test_missing_file_suggests_a_near_one(tmp_path: Path) -> None:
    write(tmp_path, space="")
    with pytest.raises(DartsError) as raised:
        load(tmp_path / "spce.darts")
    assert raised.value.diagnostics[0].help == "did you mean `space.darts`?"


def test_missing_shipped_file() -> None:
    with pytest.raises(DartsError, match=r"there is no file `spaces/nothing\.darts`"):
        load("spaces/nothing.darts")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "E0104"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "E0102"),
        (b"language 1\n# caf\xe9\n", "E0102"),
        ("language 1\n".encode("utf-16"), "E0102"),
        (b"language 1\n" + b"#" * MAX_BYTES, "E0103"),
        (b"language 1\nop f = " + b"(" * 20000, "E0103"),
    ],
)
def test_files_that_are_no_programs(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "file.darts"
    path.write_bytes(content)
    with pytest.raises(DartsError) as raised:
        load(path)
    assert codes(raised) == [code]


def test_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "file.darts"
    path.write_bytes(b"\xef\xbb\xbflanguage 1\r\nop f = relu\r\n")
    assert len(load(path).file.declarations) == 1


@pytest.mark.parametrize("path", [".", "/", "a\0b", "x" * 5000])
def test_paths_that_are_no_files(path: str) -> None:
    with pytest.raises(DartsError) as raised:
        load(path)
    assert codes(raised) == ["E0101"]


def test_a_hundred_brackets_are_fine() -> None:
    space = load_text("language 1\nop f = " + "(" * 100 + "relu" + ")" * 100)
    declaration = space.file.declarations[0]
    assert isinstance(declaration, ast.OpDecl)
    assert declaration.body.result == ast.Name(declaration.span, "relu")


def test_same_diagnostics_every_time(tmp_path: Path) -> None:
    text = "language 1\nop f = conv(x, y, z: q) -> relv\nop f = relu\nset s = {a, a, b}\n"
    messages = []
    for _ in range(2):
        with pytest.raises(DartsError) as raised:
            load_text(text)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
