"""Which prompts have their keys and values on the device: a shelf of numbered places."""

from __future__ import annotations


class PromptShelf:
    """Places for prompts; one that nobody uses stays until its place is needed, the longest unused first."""

    def __init__(self, places: int) -> None:
        self._free = list(range(places - 1, -1, -1))
        self._place: dict[tuple[int, ...], int] = {}  # in the order of last use
        self._users: dict[int, int] = {}

    def place(self, prompt: tuple[int, ...]) -> tuple[int | None, bool]:
        """The place of a prompt and whether it must be run there first; (None, False) while all are in use."""
        known = self._place.pop(prompt, None)
        if known is not None:
            self._place[prompt] = known
            self._users[known] += 1
            return known, False
        if not self._free:
            idle = next((ids for ids, place in self._place.items() if not self._users[place]), None)
            if idle is None:
                return None, False
            self._free.append(self._place.pop(idle))
        place = self._free.pop()
        self._place[prompt], self._users[place] = place, 1
        return place, True

    def release(self, place: int) -> None:
        """One user less."""
        self._users[place] -= 1
