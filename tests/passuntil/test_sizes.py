"""Sizes as people write them, read in one place for commands, forms and tables."""

import pytest

from passuntil import PassUntilError
from passuntil.sizes import read_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("7B", 7_000_000_000),
        ("7 B", 7_000_000_000),
        ("70b", 70_000_000_000),
        ("7e9", 7_000_000_000),
        ("7E9", 7_000_000_000),
        ("7,000,000", 7_000_000),
        ("1.5M", 1_500_000),
        ("4.6m", 4_600_000),
        ("2T", 2_000_000_000_000),
        ("12k", 12_000),
        ("1,500", 1_500),
        (" 300 ", 300),
        ("+3", 3),
        ("5.", 5),
        ("9007199254740993", 9_007_199_254_740_993),  # one more than a float can tell apart
        ("1e18", 10**18),
    ],
)
def test_whole_sizes_stay_exact(text: str, size: int) -> None:
    assert read_size(text) == size
    assert isinstance(read_size(text), int)


@pytest.mark.parametrize("text", ["0.35", ".5", "1234567.25", "1e-3", "0.0000015M"])
def test_other_sizes_are_what_a_float_reads(text: str) -> None:
    assert read_size(text) == (1.5 if text.endswith("M") else float(text))
    assert isinstance(read_size(text), float)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0", "above 0"),
        ("-7B", "above 0 and at most 1e\\+18, not -7B"),
        ("1e19", "at most 1e\\+18"),
        ("1e-400", "above 0"),
        ("nan", "finite, not nan"),
        ("inf", "finite, not inf"),
        ("1e99999", "finite, not 1e99999"),
        ("1e400", "at most"),
        ("1,5M", "'1,5M' is not a size: .* decimals follow a point, as in 1.5M"),
        ("12,34", "commas stand between thousands"),
        ("1,50", "commas stand between thousands"),
        ("7MB", "'7MB' is not a size; write one as"),
        ("7_000", "is not a size"),
        ("٣", "is not a size"),
        ("", "is not a size"),
        (".", "is not a size"),
        ("e5", "is not a size"),
        ("1" * 10_000, "size must be finite"),
    ],
)
def test_what_is_no_size_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(PassUntilError, match=words) as refusal:
        read_size(text)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 250


def test_the_error_names_what_the_size_is_of() -> None:
    with pytest.raises(PassUntilError, match=r"^tokens must be above 0"):
        read_size("-3", "tokens")
