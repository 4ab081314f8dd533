"""String formatting in compiled code, from constant texts and integers.

A caller writes one piece after the other into a buffer of bytes, the page; with an empty page the functions only
return the positions, so that the length can be computed first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.engine.records import Array

Page = Annotated[Array, np.uint8, 1]


class Texts(NamedTuple):
    """Constant texts by number: `letters[ends[n] : ends[n + 1]]` are the bytes (UTF-8) of text `n`."""

    letters: Annotated[Array, np.uint8, 1]
    ends: Annotated[Array, np.int64, 1]


def texts(words: Iterable[str]) -> Texts:
    """Return these texts, numbered from 0."""
    encoded = [word.encode() for word in words]
    ends = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(each) for each in encoded], out=ends[1:])
    return Texts(np.frombuffer(b"".join(encoded), np.uint8).copy(), ends)


@kernel
def put(page: Page, at: int, known: Texts, number: int) -> int:
    """Write text `number` into the page; return the position of the next piece."""
    first, end = known.ends[number], known.ends[number + 1]
    if page.size:
        for letter in range(first, end):
            page[at + letter - first] = known.letters[letter]
    return int(at + end - first)


@kernel
def put_number(page: Page, at: int, number: int) -> int:
    """Write a non-negative integer into the page in decimal digits; return the position of the next piece."""
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
