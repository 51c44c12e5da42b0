"""The uniform baseline: every token is as likely as any other, log2(257) = 8.006 bits."""

import math
from collections.abc import Sequence
from typing import final

from bgpt.protocol import NUM_TOKENS, Continuation, Prompt, Scores


@final
class Uniform:
    """A `ByteModel` that knows nothing; it has no likeliest token and writes nothing."""

    def score(self, requests: Sequence[Continuation]) -> list[Scores]:
        """Charge the same for every token, the end included.

        >>> prompt = Prompt(source=None, extension="bin", given=b"")
        >>> nats = Uniform().score([Continuation(prompt=prompt, target=b"ab")])[0].total_nats
        >>> round(nats / math.log(2), 3)
        24.017
        """
        return [
            Scores(total_nats=(len(request.target) + 1) * math.log(NUM_TOKENS), predicted=None)
            for request in requests
        ]

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes] | None:  # noqa: ARG002
        """Return `None`: no byte is likelier than another."""
        return None
