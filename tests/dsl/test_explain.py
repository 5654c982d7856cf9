"""Every code has a page, and every page can be read in a terminal."""

from __future__ import annotations

import re

import pytest

from dsl.codes import CODES
from dsl.explain import PAGES, page

FENCE = re.compile(r"^```(.*)$", re.MULTILINE)
KIND = re.compile(r"(darts|sh) (wrong|right)|darts \w+\.darts|yaml \w+\.yaml")
WIDTH, SHORTEST, LONGEST = 90, 10, 40


def kinds(text: str) -> list[str]:
    """What the fenced blocks of a page say of themselves."""
    marks = FENCE.findall(text)
    assert len(marks) % 2 == 0 and not any(marks[1::2])
    return marks[::2]


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {path.name for path in PAGES.iterdir()} == {f"{code}.md" for code in CODES}


@pytest.mark.parametrize("code", CODES)
def test_page_begins_with_what_the_code_means(code: str) -> None:
    title, blank, first, *_ = page(code).splitlines()
    assert title == f"{code}: {CODES[code]}"
    assert blank == "" and first != "" and not first.startswith("#")


@pytest.mark.parametrize("code", CODES)
def test_page_fits_a_terminal(code: str) -> None:
    text = page(code)
    lines = text.splitlines()
    assert SHORTEST <= len(lines) <= LONGEST
    assert max(map(len, lines)) <= WIDTH
    assert text.endswith("\n") and not text.endswith("\n\n") and "\n\n\n" not in text


@pytest.mark.parametrize("code", CODES)
def test_page_shows_what_is_wrong_and_then_what_is_right(code: str) -> None:
    found = kinds(page(code))
    assert [kind for kind in found if not KIND.fullmatch(kind)] == []
    assert [kind.split()[1] for kind in found if "." not in kind] == ["wrong", "right"]


def test_a_code_is_found_in_any_case() -> None:
    assert page("e0201") == page("E0201")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("E201", "no diagnostic has the code `E201`: did you mean `E0201`?"),
        ("e201", "no diagnostic has the code `e201`: did you mean `E0201`?"),
        ("shape", "no diagnostic has the code `shape`: a code looks like `E0201`"),
        ("", "no diagnostic has the code ``: a code looks like `E0201`"),
    ],
)
def test_an_unknown_code_is_refused_in_one_line(code: str, message: str) -> None:
    with pytest.raises(LookupError) as error:
        page(code)
    assert str(error.value) == message
