"""The ladder's tokenizer file, read by the `tokenizers` library."""

from __future__ import annotations

import json

from tokenizers import Tokenizer

from examples.ladder import data
from examples.ladder.generators import TASKS
from examples.ladder.tokenizer import (
    CHARACTERS,
    END_ID,
    PAD_ID,
    VOCAB_SIZE,
    encode,
    tokenizer_json,
    write_tokenizer,
)


def library() -> Tokenizer:
    return Tokenizer.from_str(json.dumps(tokenizer_json()))


def test_every_character_is_one_token_and_decoding_gives_the_text_back() -> None:
    tokenizer = library()
    for text in (CHARACTERS, "a 345+678=1023\n", "  =\n\n b", "k a1b2:ab=12\n"):
        ids = tokenizer.encode(text).ids
        assert ids == encode(text)
        assert tokenizer.decode(ids) == text


def test_every_prompt_and_answer_survives_the_round_trip() -> None:
    tokenizer = library()
    for task in TASKS:
        for line in data.instances(task):
            text = f"{line['prompt']}{line['answer']}\n"
            assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_the_newline_and_the_padding_have_their_places() -> None:
    tokenizer = library()
    assert tokenizer.get_vocab_size() == VOCAB_SIZE
    assert tokenizer.token_to_id("\n") == END_ID
    assert tokenizer.token_to_id("<pad>") == PAD_ID


def test_a_prompt_is_a_prefix_of_its_document(tmp_path) -> None:
    write_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    prompt, rest = "s 25-24=", "1\n"
    assert tokenizer.encode(prompt).ids + tokenizer.encode(rest).ids == tokenizer.encode(prompt + rest).ids
