"""The page that the visitor came for, before they had to sign in or confirm."""

from urllib.parse import quote, urlsplit

# As part of a URL. Servers accept a URL of this length.
LONGEST = 500


def next_page(path: str | None) -> str:
    """Return the path if it leads to this site, but not to signing in or out. Return "" for any other."""
    path = path or ""
    if not path.startswith("/") or path.startswith(("//", "/sign-")) or len(quote(path)) > LONGEST:
        return ""
    # Browsers read a backslash as a slash, and skip tabs and line breaks.
    if "\\" in path or not path.isprintable():
        return ""
    try:
        parts = urlsplit(path)
    except ValueError:
        return ""
    return "" if parts.scheme or parts.netloc else path
