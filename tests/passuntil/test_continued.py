"""A tally that grows batch by batch is the tally of all outcomes at once."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passuntil import PassUntilError, Tally


@given(
    bits=st.lists(st.booleans(), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 60), max_size=6),
    r=st.one_of(st.none(), st.integers(1, 8)),
    floor=st.one_of(st.none(), st.integers(0, 30)),
    room=st.one_of(st.none(), st.integers(1, 40)),
)
def test_it_equals_the_tally_of_all_outcomes(
    bits: list[bool], cuts: list[int], r: int | None, floor: int | None, room: int | None
) -> None:
    cap = None if room is None else max(room, floor or 0, r or 1)
    whole = Tally.from_bits(bits, r=r, floor=floor, cap=cap)
    places = sorted({0, len(bits), *(cut for cut in cuts if cut < len(bits))})
    tally = Tally(0, 0, r=r, floor=floor, cap=cap)
    for begin, end in pairwise(places):
        if tally.finished and (r is not None or cap is not None) and tally.draws:
            break
        tally = tally.continued(bits[begin:end])
    assert tally == whole


def test_a_finished_tally_takes_no_more() -> None:
    with pytest.raises(PassUntilError, match="finished after 3 draws"):
        Tally(3, 2, 3, r=2, cap=9).continued([1])
    with pytest.raises(PassUntilError, match="0 and 1"):
        Tally(0, 0, r=2).continued("10")
