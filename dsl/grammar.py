"""The parser that lark makes of `grammar.lark`.

Making it takes longer than reading most files, so its tables are kept in the user's cache, as JSON,
under a name that changes with the grammar and with lark.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import lark
from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

GRAMMAR = Path(__file__).with_name("grammar.lark")
OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "contextual",
    "propagate_positions": True,
    "maybe_placeholders": True,
}


@cache
def parser() -> Lark:
    text = GRAMMAR.read_text(encoding="utf-8")
    key = sha256(f"{lark.__version__} {OPTIONS} {text}".encode()).hexdigest()[:16]
    place = cache_folder() / f"grammar-{key}.json"
    kept = _read(place)
    if kept is not None:
        return kept
    made = Lark(text, **OPTIONS)
    _keep(made, place)
    return made


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dartsc"


def _read(place: Path) -> Lark | None:
    """The parser whose tables are in a file; None where it is not there or no longer whole."""
    try:
        tables = json.loads(place.read_text(encoding="utf-8"), object_hook=_with_numbers)
        return Lark._load_from_dict(tables["data"], tables["memo"])
    except Exception:  # whatever lark, or the disk, says of tables that are not what was written
        return None


def _with_numbers(table: dict[str, Any]) -> dict[Any, Any]:
    """JSON's keys are texts; those of the tables are numbers wherever they look like it."""
    if all(key.isdecimal() for key in table):
        return {int(key): value for key, value in table.items()}
    return table


def _keep(made: Lark, place: Path) -> None:
    """Writes a parser's tables. What cannot be kept is made anew next time."""
    data, memo = made.memo_serialize([TerminalDef, Rule])
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"data": data, "memo": memo}, file)
            os.replace(temporary, place)
        except BaseException:
            os.unlink(temporary)
            raise
