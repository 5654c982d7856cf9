"""Texts derived at random from `grammar.lark`, by walking the rules that lark reads in it."""

from __future__ import annotations

from functools import cache
from random import Random

from lark.grammar import NonTerminal, Symbol
from lark.lexer import PatternStr

from dsl.grammar import parser
from dsl.vocabulary import COUNTERS, JOINS, LAYERS, PHASES, SPLIT, STRENGTHS, WORDS

Expansion = tuple[Symbol, ...]

OWN_NAMES = ("a", "b", "c", "f", "g", "n", "s", "x", "y", "C", "N", "H", "k", "p", "q", "r", "t")
NAMES = (*OWN_NAMES, *LAYERS, *JOINS, SPLIT, *COUNTERS, *PHASES, *WORDS)
NUMBERS = ("0", "1", "2", "3", "3", "4", "8", "16", "0.5", "3e-4", "1000000000")
NAMING = ("set", "op", "cell", "node", "shared", "from", "for")
GAPS = ("\n", "\n\n", "  ", "\t", "\r\n", " # why\n", "\n# why\n")


def derived(draw: Random) -> str:
    """A text that the grammar takes; most are small. Its language is 1."""
    form = _form(draw, draw.choice((10, 20, 40, 40, 80, 150)))
    words, fresh = ["language", "1"], draw.sample(OWN_NAMES, len(OWN_NAMES))
    for symbol in form[2:]:
        words.append(_word(draw, symbol.name, words[-1], fresh))
    plain = draw.random() < 0.5
    parts = [word + (" " if plain or draw.random() < 0.85 else draw.choice(GAPS)) for word in words]
    return "".join(parts)


def _form(draw: Random, most: int) -> list[Symbol]:
    """Terminals that the grammar derives from its start, about as many as `most` or fewer."""
    form: list[Symbol] = [NonTerminal("start")]
    waiting = [0]
    while waiting:
        place = waiting.pop(draw.randrange(len(waiting)))
        expansions = _expansions()[form[place].name]
        room = sum(_least()[symbol.name] for symbol in form) < most
        if room and form[place].name != "path":
            # The larger of two: most rules may end at once, and texts would stay tiny.
            chosen = max(draw.choice(expansions), draw.choice(expansions), key=_cost)
        else:
            cheapest = min(map(_cost, expansions))
            chosen = draw.choice([e for e in expansions if _cost(e) == cheapest])
        form[place : place + 1] = chosen
        moved = [other + (len(chosen) - 1) * (other > place) for other in waiting]
        inside = [place + i for i, symbol in enumerate(chosen) if isinstance(symbol, NonTerminal)]
        waiting = moved + inside
    return form


@cache
def _expansions() -> dict[str, list[Expansion]]:
    found: dict[str, list[Expansion]] = {}
    for rule in parser().rules:
        found.setdefault(str(rule.origin.name), []).append(tuple(rule.expansion))
    return found


@cache
def _least() -> dict[str, float]:
    """How many terminals a symbol derives at least."""
    least: dict[str, float] = {t.name: 1 for t in parser().terminals}
    least.update(dict.fromkeys(_expansions(), float("inf")))
    changed = True
    while changed:
        changed = False
        for name, expansions in _expansions().items():
            cost = min(sum(least[s.name] for s in expansion) for expansion in expansions)
            changed |= cost < least[name]
            least[name] = cost
    return least


def _cost(expansion: Expansion) -> float:
    return sum(_least()[symbol.name] for symbol in expansion)


def _word(draw: Random, terminal: str, before: str, fresh: list[str]) -> str:
    """A word of a terminal, so chosen after the word `before` that names are often known ones.

    What is declared takes a name from `fresh` while there are some.
    """
    if terminal == "NAME" and before in ("by", "without"):
        return draw.choice([strength.split()[-1] for strength in STRENGTHS])
    if terminal == "NAME" and before in ("import", "extend"):
        return "std"
    if terminal == "NAME" and before in NAMING and fresh:
        return fresh.pop()
    if terminal == "NAME":
        return draw.choice(NAMES if draw.random() < 0.5 else OWN_NAMES)
    if terminal == "NUMBER":
        return draw.choice("1234" if before == "keep" else NUMBERS)
    pattern = parser().get_terminal(terminal).pattern
    if isinstance(pattern, PatternStr):
        return str(pattern.value)
    alternatives = pattern.value.removeprefix("(?:").removesuffix(")").split("|")
    return draw.choice([alternative.replace("\\", "") for alternative in alternatives])
