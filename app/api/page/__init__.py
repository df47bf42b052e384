"""The page that an operator reads."""

from app.api.page.document import POLICY, page


__all__ = ["POLICY", "page"]
