"""The token that proves who we are: given as a text, or in a file that somebody else renews.

Used by both clients of an API server (`transport`, `sessions`), each with its own idea of what a
file that cannot be read means.
"""

import math

from fleet.clusters.config import ClientConfig

FILE_SECONDS = 60.0
"""A token file is read again after this: a kubelet renews a pod's token long before it expires."""


class Bearer:
    """`last` is the latest token that is known; None where the connection has none."""

    def __init__(self, config: ClientConfig) -> None:
        self.last = config.token
        self._file, self._read = config.token_file, -math.inf

    def current(self, now: float) -> str | None:
        """The token at `now` (monotonic seconds). Raises OSError for a file that cannot be read."""
        if self._file is not None and now - self._read >= FILE_SECONDS:
            self.last, self._read = self._file.read_text().strip(), now
        return self.last
