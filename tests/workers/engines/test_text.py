"""Tokenizers of other kinds than characters: byte-level pieces, words, unknown and special tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from tests.tiny_model import write_tiny_llama
from workers.engines import DrawRequest, EngineRefusal, open_engine
from workers.engines.text import TextCodec, first_stop

TEXT = ["the quick brown fox", "the end.\n\nthe answer is 42\n", "größer als älter", "a b c d e f"] * 20


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=["<eos>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def words() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=64, special_tokens=["<eos>", "<bos>", "<unk>"])
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 0)]
    )
    return tokenizer


def codec(folder: Path, build: Callable[[], Tokenizer], vocab: int = 320) -> TextCodec:
    tokenizer = build()
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(folder / "tokenizer.json"))
    return TextCodec(folder / "tokenizer.json", vocab, frozenset({0}))


def test_byte_level_text_comes_back_whole(tmp_path: Path) -> None:
    text = codec(tmp_path, byte_level)
    sentence = "größer than the quick 日本 fox\n"
    assert text.decode(text.encode_prompt(sentence)) == sentence
    assert text.encode_prompt("the") + text.encode_answer("the", " quick") == text.encode_prompt("the quick")


def test_parts_of_characters_and_blanks_in_front_are_looked_at(tmp_path: Path) -> None:
    text = codec(tmp_path, byte_level)
    look = text.may_complete(("日", " the"))
    assert look[text.encode_prompt("日")].all()  # each of its bytes may complete it
    assert look[text.encode_prompt(" the")[-1]]
    newline = text.terminators(("\n",))
    assert 0 in newline
    assert {text.pieces[token] for token in newline if token} >= {"\n"}
    assert all(str(text.pieces[token]).startswith("\n") for token in newline if token)


def test_special_tokens_stand_in_front_and_never_close_a_prompt(tmp_path: Path) -> None:
    text = codec(tmp_path, words, vocab=64)
    ids = text.encode_prompt("the quick fox")
    assert ids[0] == 1
    assert ids[-1] != 0
    assert len(text.encode_answer("the", "quick fox")) == 2


def test_an_unknown_word_is_allowed_in_a_prompt_and_refused_in_an_answer(tmp_path: Path) -> None:
    text = codec(tmp_path, words, vocab=64)
    assert 2 in text.encode_prompt("the zebra")
    with pytest.raises(EngineRefusal, match="'zebra' has a character that the tokenizer does not know"):
        text.encode_answer("the", "zebra")


def test_a_vocabulary_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineRefusal, match="tokens, the model only 100"):
        codec(tmp_path, byte_level, vocab=100)


def test_draws_with_byte_level_pieces_stop_in_the_text(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path, vocab=320)
    byte_level().save(str(folder / "tokenizer.json"))
    engine = open_engine("reference", folder)
    free = engine.draw([DrawRequest("i", "the", 0, 150, 0, (), 24)])[0].texts
    for stop in ((" ",), ("e", "ö"), ("he", "\ufffd")):
        texts = engine.draw([DrawRequest("i", "the", 0, 150, 0, stop, 24)])[0].texts
        places = [first_stop(whole, stop) for whole in free]
        if "\ufffd" not in stop:  # a part of a character shows as U+FFFD until the next token completes it
            assert texts == [whole if p < 0 else whole[:p] for whole, p in zip(free, places, strict=True)]
        assert not any(item in text for item in stop for text in texts)
