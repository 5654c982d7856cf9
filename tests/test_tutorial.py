"""The tutorial: its programs and variations hold, its commands run, and its pictures are drawn.

A fragment right below a heading changes the page's program for good. A paragraph with "`new` in
place of `old`" is a variation of that program, and so are the fragments behind a paragraph.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from compiler.describe import check, describe
from dsl import DartsError, ast, load, load_text, render
from dsl.layout import formatted
from dsl.parse import parse
from dsl.source import Source
from runtime import cli

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
PIECE = re.compile(r"^```(\w+(?: fragment)?)\n(.*?)^```$|((?:^(?!```)[^\n]+\n)+)", re.M | re.S)
CHANGE = re.compile(r"`([^`\n]+)`\s+in\s+place\s+of\s+`([^`\n]+)`")
PICTURE = re.compile(r"(error|warning)\[")
ROUNDED = re.compile(r"(\d\.\d)·10([⁰¹²³⁴⁵⁶⁷⁸⁹]+) architectures")
FIGURES = re.compile(r"^(  (?:step|search) ).*$", re.M)
PLAIN = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
HEADER = "language 1\n\n"
SMALL = {
    "digits": ["--epochs", "1", "--set", "subset=64", "--set", "C=2"],
    "words": ["--epochs", "1", "--set", "subset=400", "--set", "H=2"],
}


@dataclass(frozen=True)
class Piece:
    """A block, or a `heading` or a paragraph of `prose`, and the program that the page is at."""

    kind: str
    text: str
    program: str


@dataclass
class Variation:
    """A program, and the picture of what is said of it; none where all is well."""

    title: str
    program: str
    picture: str = ""


def pieces() -> Iterator[Piece]:
    program = kind = ""
    for language, block, prose in PIECE.findall(PAGE):
        below_heading = kind == "heading"
        kind = language or ("heading" if prose.startswith("#") else "prose")
        if kind == "darts":
            program = block
        elif kind == "darts fragment" and below_heading:
            program = merged(program, block)
        yield Piece(kind, block or prose, program)


def variations() -> list[Variation]:
    found: list[Variation] = []
    for piece in pieces():
        match piece.kind:
            case "heading" | "darts":
                found.append(Variation(piece.text.splitlines()[0].strip("# "), piece.program))
            case "prose":
                title = " ".join(piece.text.split()[:4])
                found.append(Variation(title, changed(piece.program, piece.text)))
            case "darts fragment":
                found[-1].program = merged(found[-1].program, piece.text)
            case "text" if PICTURE.match(piece.text):
                found[-1].picture = piece.text
    unlike = {(variation.program, variation.picture): variation for variation in found}
    return [variation for variation in unlike.values() if variation.program]


def changed(program: str, prose: str) -> str:
    for new, old in CHANGE.findall(prose):
        assert program.count(old) == 1, f"`{old}` stands {program.count(old)} times in the program"
        program = program.replace(old, new)
    return program


def merged(program: str, fragment: str) -> str:
    """The program with the declarations of a fragment in the places of those with their names."""
    old = declarations(program)
    for name, text in declarations(HEADER + fragment).items():
        program = program.replace(old[name], text) if name in old else f"{program}\n{text}\n"
    return program


def declarations(program: str) -> dict[str, str]:
    """The texts of a program's sets, ops and cells by their names."""
    return {
        declaration.name.name: program[declaration.span.start : declaration.span.end]
        for declaration in parse(Source("digits.darts", program)).declarations
        if isinstance(declaration, ast.SetDecl | ast.OpDecl | ast.CellDecl)
    }


@pytest.mark.parametrize("variation", variations(), ids=lambda variation: variation.title)
def test_variation(variation: Variation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of it is drawn on the page to the letter."""
    monkeypatch.chdir(tmp_path)
    Path("digits.darts").write_text(variation.program, encoding="utf-8")
    try:
        diagnostics = check(load("digits.darts"))
    except DartsError as error:
        diagnostics = error.diagnostics
    assert render(diagnostics) == variation.picture


def test_pictures_are_shown() -> None:
    assert [v.picture[:12] for v in variations() if v.picture] == [
        "error[E0601]",
        "warning[W060",
        "error[E0501]",
    ]


def test_numbers_of_architectures() -> None:
    """Where the page rounds one, it is that of the paragraph's own variation."""
    rounded = [
        (piece, *found)
        for piece in pieces()
        for found in ROUNDED.findall(" ".join(piece.text.split()))
    ]
    assert rounded
    for piece, digits, exponent in rounded:
        space = load_text(changed(piece.program, piece.text))
        number = describe(space, None, {}).architectures
        assert f"{number:.1e}" == f"{digits}e+{exponent.translate(PLAIN)}"


def test_head_of_the_paper_s_space() -> None:
    """It is for images of 32 by 32, and both ways out of that which the page names are ways out."""
    text = (ROOT / "spaces" / "cifar_cell.darts").read_text(encoding="utf-8")
    stem, head = "conv(3, out: 3 * C)", "relu -> global_pool(mean) -> linear(classes)"
    assert f"`{head}`" in PAGE
    assert text.count(stem) == text.count("size = 32") == text.count("weight = 0.4") == 1
    smaller = text.replace("size = 32", "size = 24")
    strided = text.replace(stem, "conv(3, out: 3 * C, stride: 2)")
    for program in (smaller, strided):
        assert codes(program) == {"E0503"}
        assert codes(program.replace("weight = 0.4", "weight = 0")) == {"W0701"}
        assert codes(merged(program, f"op auxiliary_head(classes) = {head}")) == set()


def codes(program: str) -> set[str]:
    try:
        return {diagnostic.code for diagnostic in check(load_text(program))}
    except DartsError as error:
        return {diagnostic.code for diagnostic in error.diagnostics}


@pytest.mark.parametrize("piece", [p for p in pieces() if p.kind.startswith("darts")])
def test_programs_are_laid_out(piece: Piece) -> None:
    text = piece.text if piece.kind == "darts" else HEADER + piece.text
    assert formatted(Source("digits.darts", text)) == text


def test_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of the page, runs in a small size; what a block prints stands below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "model", raising=False)
    printed = ""
    for piece in pieces():
        match piece.kind:
            case "sh":
                capsys.readouterr()
                for line in piece.text.splitlines():
                    execute(line, piece.program)
                printed = capsys.readouterr().out
            case "text" if not PICTURE.match(piece.text):
                assert without_figures(printed) == without_figures(piece.text)
            case "yaml":
                made = Path("runs/digits-1/genotype.yaml").read_text(encoding="utf-8")
                assert has_shape(yaml.safe_load(made), yaml.safe_load(piece.text))
            case "python":
                namespace: dict[str, Any] = {}
                exec(compile(piece.text, "tutorial.md", "exec"), namespace)
                assert namespace["logits"].shape == (2, 10)
    assert Path("runs/words-1/model.py").exists()


def without_figures(printed: str) -> str:
    """What is printed, but for what a search takes on one machine or another."""
    return FIGURES.sub(r"\1 …", printed)


def execute(line: str, program: str) -> None:
    command, *arguments = shlex.split(line)
    assert command == "dartsc"
    if arguments[0].endswith(".darts"):
        Path(arguments[0]).write_text(program, encoding="utf-8")
    is_run = {"--search", "--train"} & set(arguments)
    small = SMALL[Path(arguments[0]).stem.partition("-")[0]] if is_run else []
    assert cli.run([*arguments, *small]) == 0, line


def has_shape(whole: Any, part: Any) -> bool:
    """Whether all that a part of a genotype's file tells of is told in the whole file."""
    if isinstance(part, dict):
        return all(key in whole and has_shape(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(has_shape, whole, part))
    return type(whole) is type(part)


def test_audit_adds_up() -> None:
    """The margin on the page is that between the numbers above it."""
    (text,) = (piece.text for piece in pieces() if piece.kind == "yaml")
    node = yaml.safe_load(text)["audit"]["normal"]["n[1]"]
    weakest = min(edge["strength"] for edge in node["kept"])
    assert node["margin"] == pytest.approx(weakest - node["runner_up"]["strength"], abs=1e-9)
