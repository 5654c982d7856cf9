"""What a code means, at length: a page for each, with a wrong example and a right one."""

from __future__ import annotations

from pathlib import Path

from dsl.codes import CODES
from dsl.diagnostics import did_you_mean

PAGES = Path(__file__).with_name("pages")


def page(code: str) -> str:
    """The page of a code, in Markdown; `e0201` and `E0201` are one code.

    Raises:
        LookupError: in one line, when no diagnostic has that code.
    """
    known = code.upper()
    if known not in CODES:
        help = did_you_mean(known, CODES) or "a code looks like `E0201`"
        raise LookupError(f"no diagnostic has the code `{code}`: {help}")
    text = (PAGES / f"{known}.md").read_text(encoding="utf-8")
    return f"{known}: {CODES[known]}\n\n{text}"
