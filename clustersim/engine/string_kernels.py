"""Sentences put together in compiled code, of texts known before and of whole numbers.

Decides how texts lie in memory and how a number is spelled. What is said is the caller's: a kernel puts one piece
after the other onto a page of bytes, and a page without bytes only counts them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array, kernel

Page = Annotated[Array, np.uint8, 1]


class Texts(NamedTuple):
    """Texts by number: `letters[ends[n] : ends[n + 1]]` are the bytes (UTF-8) of text `n`."""

    letters: Annotated[Array, np.uint8, 1]
    ends: Annotated[Array, np.int64, 1]


def texts(words: Iterable[str]) -> Texts:
    """These texts, numbered from 0."""
    encoded = [word.encode() for word in words]
    ends = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(each) for each in encoded], out=ends[1:])
    return Texts(np.frombuffer(b"".join(encoded), np.uint8).copy(), ends)


@kernel
def put(page: Page, at: int, known: Texts, number: int) -> int:
    """Put text `number` onto the page; where the next piece begins."""
    first, end = known.ends[number], known.ends[number + 1]
    if page.size:
        for letter in range(first, end):
            page[at + letter - first] = known.letters[letter]
    return int(at + end - first)


@kernel
def put_number(page: Page, at: int, number: int) -> int:
    """Put a whole number, not negative, onto the page in decimals; where the next piece begins."""
    digits = 1
    rest = number // 10
    while rest > 0:
        digits += 1
        rest //= 10
    if page.size:
        rest = number
        for place in range(at + digits - 1, at - 1, -1):
            page[place] = 48 + rest % 10
            rest //= 10
    return int(at + digits)
