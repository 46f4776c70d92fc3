"""The settings: where each comes from, what it may be, and what a site on the internet must have.

Every setting is read from the environment under Flask's own prefix: `FLASK_SITE_URL`, `FLASK_SECRET_KEY`, ... On
localhost everything has a default that works. Anywhere else an unsafe setting stops the start with a sentence that
says what to change.
"""

import os
import re
import shlex
from collections.abc import Mapping
from datetime import timedelta
from email.utils import getaddresses
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import idna
from flask import Config
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from app import instance
from app.activity import FORMER_ADDRESS_DAYS
from app.limits import Limit

DEFAULTS = {
    # The one source of the origin, the RP ID, the links in mail and the host that is answered.
    "SITE_URL": "http://localhost:8000",
    "SITE_NAME": "Latchkey",
    "SECRET_KEY": "",
    # Earlier keys, separated by commas: what they signed stays good.
    "SECRET_KEY_FALLBACKS": "",
    "SQLALCHEMY_DATABASE_URI": "",
    "MAIL_SERVER": "",
    "MAIL_PORT": 587,
    "MAIL_USE_TLS": True,
    "MAIL_USERNAME": "",
    "MAIL_PASSWORD": "",
    "MAIL_DEFAULT_SENDER": "",
    "SESSION_IDLE_DAYS": 14,
    "SESSION_DAYS": 90,
    "ACTIVITY_DAYS": 90,
    # How often, and for whom: see limits.py.
    "LIMIT_MAILS": "5 per 15 minutes",
    "LIMIT_MAILS_TO_ADDRESS": "20 per 60 minutes",
    "LIMIT_MAILS_OF_CLIENT": "60 per 60 minutes",
    "LIMIT_PASSKEY_ANSWERS": "300 per 15 minutes",
    "LIMIT_PROOFS": "60 per 15 minutes",
    "LIMIT_ALARM": "1000 per 60 minutes",
    "SIGN_UP": "open",
    "PASSKEYS_ENABLED": True,
    "LIMITS_ENABLED": True,
    "PROXIES": 0,
}

# These can't be overridden from the environment.
FIXED = {
    # Flask-Login's second cookie is never issued: a session lasts as long as its row. No cookie can have this name, so
    # Flask-Login reads none either. (It raises TypeError on a value that isn't ASCII.)
    "REMEMBER_COOKIE_NAME": ";",
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    # As long as browsers keep any cookie. It knows the browser; sessions end by their row (see sessions.py).
    "PERMANENT_SESSION_LIFETIME": timedelta(days=400),
    "SESSION_REFRESH_EACH_REQUEST": False,
    "MAX_CONTENT_LENGTH": 128 * 1024,
}

SHORTEST_SECRET_KEY = 32


class ConfigurationError(Exception):
    """A setting that the site can't be run with; the message says what to change."""


def configure(config: Config, instance_path: str, environ: Mapping[str, str] | None = None) -> None:
    """Fill `config` from the defaults and the environment.

    `environ` (for tests) takes the place of the process's environment. Raises ConfigurationError where a setting is
    malformed, or unsafe for the SITE_URL that is served.
    """
    config.from_mapping(DEFAULTS | FIXED)
    _read_environment(config, os.environ if environ is None else environ)
    if config["SIGN_UP"] not in ("open", "invite"):
        raise ConfigurationError(f"FLASK_SIGN_UP={config['SIGN_UP']!r} is not usable: say open or invite.")
    if not config["SITE_NAME"].strip() or not config["SITE_NAME"].isprintable():
        raise ConfigurationError("FLASK_SITE_NAME is not usable: say in a line what to call the site, or unset it.")
    limits = [key for key in DEFAULTS if key.startswith("LIMIT_")]
    config["LIMITS"] = {key.removeprefix("LIMIT_").lower(): _limit(key, config[key]) for key in limits}
    config["SITE_URL"] = canonical_site_url(config["SITE_URL"])
    site = urlsplit(config["SITE_URL"])
    config["RP_ID"] = site.hostname
    config["HOST"] = site.netloc
    config["LOCAL"] = site.hostname == "localhost"
    secure = site.scheme == "https"
    config["SESSION_COOKIE_SECURE"] = secure
    # Cookies ignore ports: without the port in its name, two local copies would sign each other out.
    config["SESSION_COOKIE_NAME"] = "__Host-latchkey" if secure else f"latchkey-{site.port or 80}"
    if not config["LOCAL"]:
        _refuse_unsafe(config)
    _prepare_folder(config, Path(instance_path))
    config["SECRET_KEY_FALLBACKS"] = _words(config["SECRET_KEY_FALLBACKS"])
    # As itsdangerous wants them: the last one signs.
    config["SECRET_KEYS"] = (*config["SECRET_KEY_FALLBACKS"], config["SECRET_KEY"])
    # As hosts write it; the driver is psycopg 3.
    uri = re.sub(
        "^postgres(ql)?://", "postgresql+psycopg://", config["SQLALCHEMY_DATABASE_URI"] or "sqlite:///latchkey.db"
    )
    config["SQLALCHEMY_DATABASE_URI"], config["SQLALCHEMY_ENGINE_OPTIONS"] = uri, _engine_options(uri)


def canonical_site_url(text: str) -> str:
    """Return `text` as an origin: scheme, host in lower case and IDNA form, and the port where it isn't the default.

    Raises ConfigurationError where it is no http(s) URL of a host name, or holds more than an origin.
    """
    problem = f"FLASK_SITE_URL={text!r} is not usable: "
    try:
        url = urlsplit(text.strip())
        host, port = (url.hostname or "").rstrip("."), url.port
        if url.scheme not in ("http", "https") or not host or port == 0:
            raise ConfigurationError(f"{problem}give a full URL such as https://example.org.")
        host = host if ":" in host else idna.encode(host, uts46=True).decode("ascii")
    except ValueError as error:
        raise ConfigurationError(f"{problem}{error}.") from error
    if url.path not in ("", "/") or url.query or url.fragment or "@" in url.netloc:
        raise ConfigurationError(f"{problem}give scheme, host and port only.")
    # What ends in a number is an IPv4 address to a browser (URL Standard 3.5): 127.1 and 0x7f000001 too.
    if ":" in host or host.rpartition(".")[2].isdecimal() or host.rpartition(".")[2].startswith("0x"):
        raise ConfigurationError(f"{problem}passkeys do not work on an IP address; use http://localhost:8000.")
    default_port = {"http": 80, "https": 443}[url.scheme]
    return f"{url.scheme}://{host}" + ("" if port in (None, default_port) else f":{port}")


def _read_environment(config: Config, environ: Mapping[str, str]) -> None:
    """Take FLASK_* as text, and give each the type of its default: `FLASK_SECRET_KEY=12345` stays text."""
    least = {"PROXIES": 0, "ACTIVITY_DAYS": FORMER_ADDRESS_DAYS}
    for key, default in {**DEFAULTS, "DEBUG": False}.items():
        name = f"FLASK_{key}"
        if (text := environ.get(name)) is None:
            continue
        if isinstance(default, bool):
            config[key] = _boolean(name, text)
        elif isinstance(default, int):
            config[key] = _number(name, text, least.get(key, 1))
        else:
            config[key] = text


def is_random(key: str) -> bool:
    """Whether a secret key may have come out of a generator, and out of no page: it is long, has many characters and
    no repetition, no word that examples have, and is none of the keys that documentation prints."""
    words = ("secret", "example", "change", "replace", "password", "latchkey", "insecure", "123456789", "abcdefgh")
    # The documentation of Flask, Flask-Security and FastAPI prints these, and many sites have copied them.
    published = ("192b9bdd22ab9ed4", "pf9wkove4ikeaxvy", "09d25e094faa6ca2")
    is_varied = len(set(key)) >= 10 and (key + key).find(key, 1) == len(key)
    is_known = any(part in key.lower() for part in (*words, "qwerty", " ", *published))
    return len(key) >= SHORTEST_SECRET_KEY and is_varied and not is_known


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _boolean(name: str, text: str) -> bool:
    values = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if text.lower() not in values:
        raise ConfigurationError(f"{name}={text!r} is not usable: say true or false.")
    return values[text.lower()]


def _number(name: str, text: str, least: int) -> int:
    """Ports and counts: up to the highest port."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and least <= int(text) <= 65535):
        raise ConfigurationError(f"{name}={text!r} is not usable: give a whole number from {least} to 65535.")
    return int(text)


def _limit(key: str, text: str) -> Limit:
    found = re.fullmatch(r"([1-9]\d{0,8}) per ([1-9]\d{0,4}) minutes?", text.strip())
    if not found:
        raise ConfigurationError(f"FLASK_{key}={text!r} is not usable: say it like this: 5 per 15 minutes.")
    return Limit(int(found[1]), int(found[2]))


def _prepare_folder(config: Config, folder: Path) -> None:
    """Make the folder of the site's own files; on localhost, with the defaults that nobody else has."""
    try:
        instance.make_private(folder)
        if config["LOCAL"]:
            config["SECRET_KEY"] = config["SECRET_KEY"] or instance.secret_key(folder / "secret-key")
            config["MAIL_DEFAULT_SENDER"] = config["MAIL_DEFAULT_SENDER"] or "latchkey@localhost"
    except OSError as error:
        raise ConfigurationError(
            f"The folder {folder} can't be used: {error.strerror}. The site's user must own it and its files: run "
            f"`sudo chown -R {os.geteuid()} {shlex.quote(str(folder))}`."
        ) from error
    if not config["SECRET_KEY"]:
        raise ConfigurationError(f"The secret key in {folder}/secret-key is empty: remove the file, and start again.")


def _engine_options(uri: str) -> dict[str, Any]:
    """Return how to connect to the database. Raises ConfigurationError where it is none that the site can use."""
    # A statement's parameters hold what visitors typed: keep them out of error messages, and so out of logs.
    options: dict[str, Any] = {"hide_parameters": True}
    if re.match("sqlite:///(?!:memory:|file:).", uri):
        return options
    try:
        if not uri.startswith("postgresql+psycopg://"):
            raise ValueError
        own = make_url(uri).query.get("options", "")
    except (ValueError, ArgumentError):
        # Not what it is, nor why: it may hold a password.
        problem = "FLASK_SQLALCHEMY_DATABASE_URI is not usable: it is like sqlite:///a-file.db or"
        raise ConfigurationError(f"{problem} postgresql://name:password@host/database.") from None
    # Nobody is to wait for a server that is gone, or for a lock, for longer than on SQLite.
    server_options = "-c datestyle=ISO -c lock_timeout=5s"
    # The operator's commands may take their time.
    if not os.environ.get("FLASK_RUN_FROM_CLI"):
        server_options += " -c statement_timeout=5s"
    connection = {"connect_timeout": 5, "tcp_user_timeout": 5000, "client_encoding": "utf8"}
    return options | {
        # It may have been restarted since a connection was last used.
        "pool_pre_ping": True,
        "connect_args": connection | {"options": f"{server_options} {own}"},
        # Whoever waited for a row sees it as it has become.
        "isolation_level": "READ COMMITTED",
    }


def _refuse_unsafe(config: Config) -> None:
    """Raise ConfigurationError where a site that isn't on localhost would be unsafe."""
    where = config["SITE_URL"]
    if not config["SESSION_COOKIE_SECURE"]:
        raise ConfigurationError(f"{where} is not https: set FLASK_SITE_URL to the https:// URL that visitors use.")
    if config["DEBUG"]:
        raise ConfigurationError(f"Debugging is on for {where}: unset FLASK_DEBUG.")
    keys = {
        "FLASK_SECRET_KEY": [config["SECRET_KEY"]],
        "FLASK_SECRET_KEY_FALLBACKS": _words(config["SECRET_KEY_FALLBACKS"]),
    }
    for name, values in keys.items():
        if not all(is_random(key) for key in values):
            raise ConfigurationError(
                f"{where} needs a secret key of at least {SHORTEST_SECRET_KEY} random characters: set {name} to what "
                "`python -c 'import secrets; print(secrets.token_hex(32))'` prints."
            )
    if not config["MAIL_SERVER"].strip():
        raise ConfigurationError(f"{where} can't send mail: set FLASK_MAIL_SERVER to your SMTP server.")
    if not config["MAIL_USE_TLS"]:
        raise ConfigurationError(f"{where} would send mail in the clear: unset FLASK_MAIL_USE_TLS.")
    sender = config["MAIL_DEFAULT_SENDER"]
    addresses = " ".join(address for _, address in getaddresses([sender]))
    if not re.fullmatch(r"[!-~]+@[!-~]+", addresses) or not sender.isprintable():
        raise ConfigurationError(f"{where} has no sender for its mail: set FLASK_MAIL_DEFAULT_SENDER to an address.")
    if not config["LIMITS_ENABLED"]:
        raise ConfigurationError(f"{where} can't be run without limits: unset FLASK_LIMITS_ENABLED.")
