"""The page that the visitor came for, before they had to sign in or confirm."""

from urllib.parse import quote, urlsplit

from app import log
from app.views.site.protection import route_pattern

# As part of a URL. Servers accept a URL of this length.
LONGEST = 500


def next_page(path: str | None) -> str:
    """Return the path if it leads to this site, but not to signing in or out. Return "" for any other, and log it."""
    if path and not _is_usable(path):
        log.event("next_dropped", route=route_pattern())
        return ""
    return path or ""


def _is_usable(path: str) -> bool:
    if not path.startswith("/") or path.startswith(("//", "/sign-")) or len(quote(path)) > LONGEST:
        return False
    # Browsers read a backslash as a slash, and skip tabs and line breaks.
    if "\\" in path or not path.isprintable():
        return False
    try:
        parts = urlsplit(path)
    except ValueError:
        return False
    return not (parts.scheme or parts.netloc)
