"""Who sees what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Access:
    """Who sees more than a code and a status.

    Attributes:
        details: who sees each check.
        valid: whether a token is an operator's.
        everybody: whether everybody is an operator.

    """

    details: Literal["always", "authorized", "never"]
    valid: Callable[[str], bool]
    everybody: bool = False

    def operator(self, authorization: str) -> bool:
        """Whether an operator asks, by the `Authorization` of the request, which may be empty."""
        return self.everybody or self._authorized(authorization)

    def shows(self, authorization: str) -> bool:
        """Whether each check is shown to whoever asks so."""
        if self.details == "authorized":
            return self._authorized(authorization)
        return self.details == "always"

    def _authorized(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.valid(token.strip())
