"""The split: a stable hash of a sample's group says train or test.

Because a group's side depends on the group alone, no group ever stands on both sides, at any scale,
in any order of work, and one test split serves every scale. What a group is (a program's text, a
cluster of tunes), its source says.
"""

import hashlib
from fractions import Fraction

from pipelines.plan import Side

TEST_FRACTION = Fraction(1, 10)
"""Share of all groups that is test."""

_HASH_BITS = 64


def side_of_group(group: str | bytes, test_fraction: Fraction = TEST_FRACTION) -> Side:
    """Return the side on which every sample of `group` stands.

    The first eight bytes of BLAKE2b (salted with `byteworld-split`), read as a big-endian fraction
    of 1, are compared with `test_fraction`. Text is hashed as UTF-8.

    >>> side_of_group("a"), side_of_group("b"), side_of_group(b"b")
    ('train', 'test', 'test')

    Raises:
        ValueError: `test_fraction` is not within 0..1.
    """
    if not 0 <= test_fraction <= 1:
        raise ValueError(f"test_fraction {test_fraction} is not within 0..1")
    data = group.encode() if isinstance(group, str) else group
    digest = hashlib.blake2b(data, digest_size=_HASH_BITS // 8, person=b"byteworld-split").digest()
    # Cross-multiplied integers: comparing with a Fraction costs three times the hash itself.
    limit = test_fraction.numerator << _HASH_BITS
    return "test" if int.from_bytes(digest, "big") * test_fraction.denominator < limit else "train"
