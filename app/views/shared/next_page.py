"""Where a visitor wanted to go."""

from urllib.parse import quote, urlsplit

# As it stands in an address, with which the whole must be short enough for any server.
LONGEST = 500


def next_page(wanted: str | None) -> str:
    """Return `wanted` if it is a page of this site, else "": a bad one is dropped, not refused."""
    wanted = wanted or ""
    if not wanted.startswith("/") or wanted.startswith(("//", "/sign-")) or len(quote(wanted)) > LONGEST:
        return ""
    # Browsers read a backslash as a slash, and skip tabs and line breaks.
    if "\\" in wanted or not wanted.isprintable():
        return ""
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return ""
    return "" if parts.scheme or parts.netloc else wanted
