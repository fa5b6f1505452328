"""Models behind an API: hosted ones, and servers of one's own that speak the same language."""

from f2rcli.adapters.api.model import APIModel

__all__ = ["APIModel"]
