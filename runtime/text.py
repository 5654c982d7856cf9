"""Text as numbered words: a folder of three files, and the topics that Python's help knows."""

from __future__ import annotations

import os
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from runtime.errors import UserError

END, UNKNOWN = "<eos>", "<unk>"
PARTS = ("train", "valid", "test")
LAYOUT = "`train.txt`, `valid.txt` and `test.txt` hold the text, perhaps as `NAME.train.txt`"

SHARES = (0.8, 0.1, 0.1)  # of the topics' words
MOST_TRAINING_WORDS = 60_000  # of the topics: a language model of them trains in minutes
SEEN_AT_LEAST = 2  # times in the training part; the topics have some 2,000 such words
TOKEN = re.compile(r"\w+(?:['’]\w+)?|([^\w\s])\1*")  # `it's` is one word, and so is `...`
RULE = re.compile(r"^[ \t]*([^\w\s])\1{3,}[ \t]*$", re.MULTILINE)  # a line under a heading
PARAGRAPHS = re.compile(r"\n\s*\n")
SENTENCES = re.compile(r"(?<=[.!?:])\s+")


@dataclass(frozen=True, eq=False)
class Text:
    """A text in three parts: to train on, to validate on and to test on.

    `train`, `valid` and `test` are int64 [tokens], indices into `words`, the vocabulary.
    """

    name: str
    train: Tensor
    valid: Tensor
    test: Tensor
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in (self.train, self.valid, self.test):
            if part.dtype != torch.int64 or part.ndim != 1 or len(part) == 0:
                raise ValueError("a part of a text is int64 [tokens], at least one")
            if not 0 <= int(part.min()) <= int(part.max()) < len(self.words):
                raise ValueError("every token is an index into the words")

    def training(self, subset: int) -> Tensor:
        """The first `subset` words of the training part, all where that is 0.

        Raises:
            UserError: when there are fewer.
        """
        if subset > len(self.train):
            raise UserError(
                f"`subset` asks for {subset} words of training text and `{self.name}` has "
                f"{len(self.train)}: lower it, or use 0 for all"
            )
        return self.train[: subset or None]

    def facts(self) -> dict[str, Any]:
        """By what a run recognises its text."""
        digest = sha256()
        for part in (self.train, self.valid, self.test):
            digest.update(part.cpu().contiguous().numpy().tobytes())
        digest.update("\n".join(self.words).encode())
        return {
            "train": len(self.train),
            "valid": len(self.valid),
            "test": len(self.test),
            "words": len(self.words),
            "sha256": digest.hexdigest(),
        }


class Part(NamedTuple):
    """The words of each line of a part, which comes from `place`."""

    place: str
    lines: Iterable[list[str]]


def load_text(folder: Path) -> Text:
    """The text in a folder's three files, one for each part: `train.txt` or `NAME.train.txt`.

    Words are what whitespace separates, and every line, the empty ones too, ends with `<eos>`, as
    Penn Treebank and WikiText are usually prepared. The vocabulary is the words of the training
    part in the order in which they first appear. Hidden files are passed over.

    Raises:
        UserError: when a part is missing, there twice, empty or unreadable, or when it has a word
            that the training part lacks and no `<unk>` can stand for it.
    """
    files = _part_files(folder)
    parts = [Part(str(path), _lines(path)) for path in files]
    return _number(f"text:{folder.resolve()}", *parts)


def _part_files(folder: Path) -> list[Path]:
    """The files of the parts, in their order."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"there is no folder {folder}: after `text:` comes one where {LAYOUT}"
        ) from error
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}") from error
    files = []
    for part in PARTS:
        ends = f".{part}.txt"
        found = [name for name in names if f".{name}".endswith(ends) and name[0] != "."]
        if not found:
            raise UserError(f"there is no `{part}.txt` or `NAME{ends}` in {folder}: {LAYOUT}")
        if len(found) > 1:
            raise UserError(f"{folder} has both `{found[0]}` and `{found[1]}`: keep one of them")
        files.append(folder / found[0])
    return files


def _lines(path: Path) -> Iterator[list[str]]:
    """The words of each line of a file, without a byte-order mark."""
    empty = True
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                words = line.split()
                empty = empty and not words
                yield words
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: convert it to that encoding") from error
    if empty:
        raise UserError(f"{path} holds no words: add text, separated by spaces")


def _number(name: str, train: Part, valid: Part, test: Part) -> Text:
    """The text with its words numbered in the order of the training part."""
    index: dict[str, int] = {}
    tokens = array("q")
    for line in train.lines:
        tokens.extend([index.setdefault(word, len(index)) for word in (*line, END)])
    return Text(name, _tensor(tokens), _look_up(valid, index), _look_up(test, index), tuple(index))


def _look_up(part: Part, index: dict[str, int]) -> Tensor:
    """The part's words as numbers [tokens], `<unk>` in the place of those that have none."""
    unknown = index.get(UNKNOWN, -1)
    tokens = array("q")
    for row, line in enumerate(part.lines, 1):
        numbers = [index.get(word, unknown) for word in (*line, END)]
        if -1 in numbers:
            word = line[numbers.index(-1)]
            raise UserError(
                f"{part.place}, line {row}: the training part has neither the word "
                f"`{word[:60]}` nor `{UNKNOWN}`: write `{UNKNOWN}` for rare words in all parts"
            )
        tokens.extend(numbers)
    return _tensor(tokens)


def _tensor(tokens: array[int]) -> Tensor:
    return torch.frombuffer(tokens, dtype=torch.int64)


def load_topics() -> Text:
    """A small English text that comes with Python: the language topics of its `help()`.

    Words are in lower case, marks are words of their own, every sentence ends with `<eos>`, and
    words that the training part has only once are `<unk>`. Whole topics go to a part, about 8:1:1
    by their tokens. The text differs between versions of Python.
    """
    from pydoc_data.topics import topics

    seen: set[str] = set()
    # Topics quote each other; a paragraph counts once, so no part repeats another's.
    read = [_sentences(topics[name], seen) for name in sorted(topics)]
    train, valid, test = _share_out(read)
    counts = Counter(word for sentence in train for word in sentence)
    parts = [
        Part(name, ([w if counts[w] >= SEEN_AT_LEAST else UNKNOWN for w in s] for s in sentences))
        for name, sentences in zip(PARTS, (train, valid, test), strict=True)
    ]
    return _number("topics", *parts)


def _sentences(topic: str, seen: set[str]) -> list[list[str]]:
    """The sentences of a topic's paragraphs that are not among those `seen`; adds them there."""
    found: list[list[str]] = []
    for paragraph in PARAGRAPHS.split(RULE.sub("", topic.lower())):
        text = " ".join(paragraph.split())
        if text not in seen:
            seen.add(text)
            sentences = ([m.group() for m in TOKEN.finditer(s)] for s in SENTENCES.split(text))
            found += [words for words in sentences if words]
    return found


def _share_out(topics: Iterable[list[list[str]]]) -> tuple[list[list[str]], ...]:
    """The sentences of each part: every topic goes where most is wanting, until one would make the
    training part too long."""
    parts: tuple[list[list[str]], ...] = ([], [], [])
    sizes = [0, 0, 0]
    for sentences in topics:
        size = sum(len(words) + 1 for words in sentences)
        total = sum(sizes) + size
        wanting = [share * total - size for share, size in zip(SHARES, sizes, strict=True)]
        chosen = wanting.index(max(wanting))
        if chosen == 0 and sizes[0] + size > MOST_TRAINING_WORDS:
            break
        parts[chosen].extend(sentences)
        sizes[chosen] += size
    return parts
