"""Text comes back word for word, with all that may be wrong in a folder of it, and the topics."""

import codecs
import errno
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import UserError
from runtime.text import MOST_TRAINING_WORDS, Part, Text, _number, load_text, load_topics

PARTS = ("train", "valid", "test")


@pytest.fixture
def folder(tmp_path):
    """Two lines to train on, with an empty one between, and one line in the other parts."""
    (tmp_path / "train.txt").write_text(" the cat <unk> \n\nthe dog\n")
    (tmp_path / "valid.txt").write_text("a dog\n")
    (tmp_path / "test.txt").write_text("cat\n")
    return tmp_path


def words(text, part):
    return " ".join(text.words[i] for i in getattr(text, part).tolist())


def failure(folder):
    with pytest.raises(UserError) as found:
        load_text(folder)
    message = str(found.value)
    assert "\n" not in message
    return message


def test_every_line_ends_and_words_are_numbered_as_they_first_appear(folder):
    text = load_text(folder)
    assert text.name == f"text:{folder.resolve()}"
    assert text.words == ("the", "cat", "<unk>", "<eos>", "dog")
    assert text.train.dtype == torch.int64
    assert text.train.tolist() == [0, 1, 2, 3, 3, 0, 4, 3]
    assert words(text, "valid") == "<unk> dog <eos>"
    assert words(text, "test") == "cat <eos>"


LINES = st.lists(st.lists(st.sampled_from(["a", "b", "ü", "<unk>", "<eos>"])), min_size=1)


@given(LINES, LINES, LINES)
@settings(max_examples=50, deadline=None)
def test_numbers_stand_for_the_words_they_came_from(train, valid, test):
    lines = [["a", "b", "ü", "<unk>"], *train]
    text = _number("x", *(Part("", part) for part in (lines, valid, test)))
    for name, part in zip(PARTS, (lines, valid, test), strict=True):
        assert words(text, name) == " ".join(" ".join([*line, "<eos>"]) for line in part)
    assert sorted(text.words) == sorted({"a", "b", "ü", "<unk>", "<eos>"})


def test_files_may_have_a_name_before_the_part_s(folder):
    plain = load_text(folder)
    for part in PARTS:
        (folder / f"{part}.txt").rename(folder / f"ptb.{part}.txt")
    (folder / "._ptb.train.txt").write_text("hidden")
    (folder / "mytrain.txt").write_text("another file")
    assert load_text(folder).facts() == plain.facts()


def test_line_ends_marks_and_a_last_line_without_its_end_change_nothing(folder):
    plain = load_text(folder).facts()
    for part in PARTS:
        path = folder / f"{part}.txt"
        content = path.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n")
        path.write_bytes(codecs.BOM_UTF8 + content)
    assert load_text(folder).facts() == plain


def test_facts_tell_texts_apart_by_any_word(folder):
    first = load_text(folder).facts()
    counts = {"train": 8, "valid": 3, "test": 2, "words": 5}
    assert first == counts | {"sha256": first["sha256"]}
    (folder / "test.txt").write_text("dog\n")
    token = load_text(folder).facts()
    (folder / "train.txt").write_text("the rat <unk> \n\nthe dog\n")
    word = load_text(folder).facts()
    assert len({facts["sha256"] for facts in (first, token, word)}) == 3


def test_a_missing_folder_or_part_is_named(folder):
    assert f"there is no folder {folder / 'no'}: after `text:`" in failure(folder / "no")
    assert "there is no folder" in failure(folder / "train.txt")
    (folder / "valid.txt").rename(folder / "validation.txt")
    message = failure(folder)
    assert f"there is no `valid.txt` or `NAME.valid.txt` in {folder}" in message


def test_two_files_for_a_part_are_both_named(folder):
    (folder / "ptb.test.txt").write_text("cat\n")
    message = failure(folder)
    assert f"{folder} has both `ptb.test.txt` and `test.txt`: keep one" in message


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("content", [b"", b" \n\n", codecs.BOM_UTF8])
def test_a_part_without_words_is_named(folder, part, content):
    (folder / f"{part}.txt").write_bytes(content)
    assert f"{folder / f'{part}.txt'} holds no words" in failure(folder)


def test_an_unreadable_file_is_named(folder):
    path = folder / "valid.txt"
    path.write_bytes("ein Käfer\n".encode("latin-1"))
    assert f"{path} is not UTF-8: convert it" in failure(folder)
    path.unlink()
    path.mkdir()
    assert f"cannot read {path}: Is a directory" in failure(folder)


def test_a_folder_that_may_not_be_read_is_named(folder, monkeypatch):
    def forbidden(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "listdir", forbidden)
    assert f"cannot read {folder}: Permission denied" in failure(folder)


def test_an_unknown_word_is_named_with_its_line_where_nothing_stands_for_it(folder):
    (folder / "train.txt").write_text("the cat\nthe dog\n")
    (folder / "valid.txt").write_text("the dog\n\nthe cow or hen\n")
    message = failure(folder)
    assert f"{folder / 'valid.txt'}, line 3: " in message
    assert "neither the word `cow` nor `<unk>`: write `<unk>` for rare words" in message


def test_a_text_that_is_none_is_refused():
    good = torch.tensor([0, 1])
    Text("x", good, good, good, ("a", "b"))
    with pytest.raises(ValueError, match="int64"):
        Text("x", good, good.int(), good, ("a", "b"))
    with pytest.raises(ValueError, match="at least one"):
        Text("x", good, good, good[:0], ("a", "b"))
    with pytest.raises(ValueError, match="index into the words"):
        Text("x", good, good, good, ("a",))


@pytest.fixture(scope="module")
def topics():
    return load_topics()


def test_the_topics_are_a_small_text_and_the_same_each_time(topics):
    sizes = [len(part) for part in (topics.train, topics.valid, topics.test)]
    assert MOST_TRAINING_WORDS / 2 < sizes[0] <= MOST_TRAINING_WORDS
    assert all(0.05 < size / sum(sizes) < 0.2 for size in sizes[1:])
    assert 1000 < len(topics.words) < 4000
    assert {"<eos>", "<unk>", "the", "function", "."} <= set(topics.words)
    assert load_topics().facts() == topics.facts()


def test_the_vocabulary_of_the_topics_is_what_training_sees_more_than_once(topics):
    assert topics.train.bincount(minlength=len(topics.words)).min() >= 2


def test_the_parts_of_the_topics_are_alike_and_repeat_each_other_little(topics):
    unknown, end = topics.words.index("<unk>"), topics.words.index("<eos>")
    long = []
    for name in PARTS:
        part = getattr(topics, name)
        assert 0 < (part == unknown).float().mean() < 0.15
        assert 0.02 < (part == end).float().mean() < 0.1
        sentences = words(topics, name).split(" <eos>")
        long.append({sentence for sentence in sentences if sentence.count(" ") > 20})
    train, valid, test = long
    assert len(valid & train) < len(valid) / 20 and len(test & train) < len(test) / 20
