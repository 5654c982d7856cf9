"""The parser: a grammar without conflicts, and tables that are kept and read back."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from lark import Lark, Tree, logger

from dsl import grammar
from dsl.files import SHIPPED

TEXTS = [path.read_text(encoding="utf-8") for path in sorted(SHIPPED.glob("*.darts"))]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a parser that is made anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "dartsc"


def made() -> Lark:
    return grammar.parser.__wrapped__()


def trees(parser: Lark) -> list[Tree]:
    return [parser.parse(text) for text in TEXTS]


def test_the_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    """Lark settles a conflict between shifting and reducing by itself, and only its log tells."""
    logger.setLevel(logging.DEBUG)
    try:
        with caplog.at_level(logging.DEBUG, logger=logger.name):
            Lark(grammar.GRAMMAR.read_text(encoding="utf-8"), debug=True, **grammar.OPTIONS)
    finally:
        logger.setLevel(logging.CRITICAL)
    assert [record.getMessage() for record in caplog.records if "onflict" in record.message] == []


def test_tables_are_kept_and_parse_the_same(cache: Path) -> None:
    fresh = trees(made())
    (kept,) = cache.iterdir()
    written = kept.stat().st_mtime_ns
    assert trees(made()) == fresh
    assert kept.stat().st_mtime_ns == written


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"data": {}, "memo": {}}', "\0", "[" * 9000])
def test_tables_that_are_no_longer_whole_are_made_anew(cache: Path, text: str) -> None:
    made()
    (kept,) = cache.iterdir()
    kept.write_text(text)
    assert trees(made())
    assert json.loads(kept.read_text())["data"]


def test_nothing_hangs_on_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert trees(made())
