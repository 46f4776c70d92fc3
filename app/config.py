"""The settings: their defaults, their formats, and the requirements for a public site.

Every setting is an environment variable with Flask's prefix: `FLASK_SITE_URL`, `FLASK_SECRET_KEY` and so on. On
localhost, each has a default that works. At any other address, the site refuses to start with unsafe settings, and
says what to change.
"""

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from email.utils import getaddresses
from functools import partial
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

SHORTEST_SECRET_KEY = 32
KEY_GENERATOR = "python -c 'import secrets; print(secrets.token_hex(32))'"


class ConfigurationError(Exception):
    """The site can't run with its settings; the message says what to change."""


# Each of these functions turns the text of a setting into its value. It raises ValueError with advice if it can't.


def canonical_site_url(text: str) -> str:
    """Return an http(s) URL as an origin: scheme, lower-case IDNA host, and the port if it isn't the default.

    Raises ValueError if the host is an IP address, or if the URL says more than an origin.
    """
    url = urlsplit(text.strip())
    host, port = (url.hostname or "").rstrip("."), url.port
    if url.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError("give a full URL such as https://example.org")
    if url.path not in ("", "/") or url.query or url.fragment or "@" in url.netloc:
        raise ValueError("give scheme, host and port only")
    if ":" not in host:
        host = idna.encode(host, uts46=True).decode("ascii")
    # To a browser, a host that ends in a number is an IPv4 address (URL Standard 3.5): 127.1 and 0x7f000001 too.
    last_label = host.rpartition(".")[2]
    if ":" in host or last_label.isdecimal() or last_label.startswith("0x"):
        raise ValueError("passkeys do not work on an IP address; use http://localhost:8000")
    default_port = {"http": 80, "https": 443}[url.scheme]
    return f"{url.scheme}://{host}" + ("" if port in (None, default_port) else f":{port}")


def _site_name(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("use one line of printable text, or unset it")
    return text


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _database_uri(text: str) -> str:
    # Hosting companies give URIs without the driver. Ours is psycopg 3.
    uri = re.sub("^postgres(ql)?://", "postgresql+psycopg://", text or "sqlite:///latchkey.db")
    with suppress(ValueError, ArgumentError):
        make_url(uri)
        if re.match(r"sqlite:///(?!:memory:|file:).|postgresql\+psycopg://", uri):
            return uri
    raise ValueError("use a URI such as sqlite:///a-file.db or postgresql://name:password@host/database")


def _number(text: str, least: int = 1) -> int:
    """Return a count or a port. The highest port is the limit for both."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and least <= int(text) <= 65535):
        raise ValueError(f"give a whole number from {least} to 65535")
    return int(text)


def boolean(text: str) -> bool:
    """Return the value of `true`, `1`, `yes`, `on`, or of their opposites. Raises ValueError for any other text."""
    values = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if text.lower() not in values:
        raise ValueError("say true or false")
    return values[text.lower()]


def _limit(text: str) -> Limit:
    match = re.fullmatch(r"([1-9]\d{0,8}) per ([1-9]\d{0,4}) minutes?", text.strip())
    if not match:
        raise ValueError("say it like this: 5 per 15 minutes")
    return Limit(int(match[1]), int(match[2]))


def _sign_up(text: str) -> str:
    if text not in ("open", "invite"):
        raise ValueError("say open or invite")
    return text


@dataclass(frozen=True)
class Setting:
    """A setting of the environment."""

    default: str
    """The text to parse if the environment doesn't set it."""
    parse: Callable[[str], Any] = str
    is_secret: bool = False
    """True if error messages must not quote it."""


SETTINGS = {
    # The only source of the origin, the RP ID, the links in mails and the host that the site answers.
    "SITE_URL": Setting("http://localhost:8000", canonical_site_url),
    "SITE_NAME": Setting("Latchkey", _site_name),
    # Shows tracebacks to visitors.
    "DEBUG": Setting("false", boolean),
    # Signs cookies, links and challenges. On localhost, the first start makes one.
    "SECRET_KEY": Setting("", is_secret=True),
    # Earlier keys, separated by commas. Signatures made with them stay valid.
    "SECRET_KEY_FALLBACKS": Setting("", _words, is_secret=True),
    "SQLALCHEMY_DATABASE_URI": Setting("", _database_uri, is_secret=True),
    # Without a mail server, the site writes mails to files.
    "MAIL_SERVER": Setting(""),
    "MAIL_PORT": Setting("587", _number),
    "MAIL_USE_TLS": Setting("true", boolean),
    "MAIL_USERNAME": Setting(""),
    "MAIL_PASSWORD": Setting("", is_secret=True),
    "MAIL_DEFAULT_SENDER": Setting(""),
    # A session ends after SESSION_IDLE_DAYS without use, and always after SESSION_DAYS.
    "SESSION_IDLE_DAYS": Setting("14", _number),
    "SESSION_DAYS": Setting("90", _number),
    # At least FORMER_ADDRESS_DAYS, because notices find former addresses in the activity.
    "ACTIVITY_DAYS": Setting("90", partial(_number, least=FORMER_ADDRESS_DAYS)),
    # limits.py says what each limit counts.
    "LIMIT_MAILS": Setting("5 per 15 minutes", _limit),
    "LIMIT_MAILS_TO_ADDRESS": Setting("20 per 60 minutes", _limit),
    "LIMIT_MAILS_OF_CLIENT": Setting("60 per 60 minutes", _limit),
    "LIMIT_PASSKEY_ANSWERS": Setting("300 per 15 minutes", _limit),
    "LIMIT_PROOFS": Setting("60 per 15 minutes", _limit),
    "LIMIT_ALARM": Setting("1000 per 60 minutes", _limit),
    "LIMITS_ENABLED": Setting("true", boolean),
    # New accounts: for everybody (open), or for invited addresses only (invite).
    "SIGN_UP": Setting("open", _sign_up),
    "PASSKEYS_ENABLED": Setting("true", boolean),
    # The number of proxies in front of the site, whose X-Forwarded-For is trusted.
    "PROXIES": Setting("0", partial(_number, least=0)),
}

# These can't be overridden from the environment.
FIXED = {
    # Turns off Flask-Login's "remember me" cookie. No cookie can have this name, so Flask-Login never reads one. (It
    # raises TypeError on a value that isn't ASCII.)
    "REMEMBER_COOKIE_NAME": ";",
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    # The longest time that browsers keep a cookie. This one also recognizes the browser, so it outlives the session.
    "PERMANENT_SESSION_LIFETIME": timedelta(days=400),
    "SESSION_REFRESH_EACH_REQUEST": False,
    "MAX_CONTENT_LENGTH": 128 * 1024,
}


def configure(config: Config, instance_path: str, environ: Mapping[str, str] = os.environ) -> None:
    """Fill `config` from the environment, or for tests from another mapping.

    Raises ConfigurationError if a setting is malformed, or unsafe for its SITE_URL.
    """
    config.from_mapping(FIXED)
    for name, setting in SETTINGS.items():
        config[name] = _read(name, setting, environ)
    # Flask sets this variable for `flask` commands. They don't serve the site (this project doesn't use `flask run`).
    config["IS_COMMAND"] = bool(environ.get("FLASK_RUN_FROM_CLI"))
    _derive(config)
    if not config["LOCAL"] and (danger := next(_dangers(config), None)):
        raise ConfigurationError(f"{config['SITE_URL']} {danger}.")
    _prepare_folder(config, Path(instance_path))
    # itsdangerous signs with the last key.
    config["SECRET_KEYS"] = (*config["SECRET_KEY_FALLBACKS"], config["SECRET_KEY"])


def _read(name: str, setting: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(f"FLASK_{name}", setting.default)
    try:
        return setting.parse(text)
    except ValueError as error:
        quoted = "" if setting.is_secret else f"={text!r}"
        raise ConfigurationError(f"FLASK_{name}{quoted} is not usable: {error}.") from None


def _derive(config: Config) -> None:
    """Add the values that follow from the settings."""
    site = urlsplit(config["SITE_URL"])
    config["HOST"] = site.netloc
    config["RP_ID"] = site.hostname
    config["LOCAL"] = site.hostname == "localhost"
    config["SESSION_COOKIE_SECURE"] = site.scheme == "https"
    # Cookies ignore ports. Without the port in its name, two local copies would sign each other out.
    config["SESSION_COOKIE_NAME"] = "__Host-latchkey" if site.scheme == "https" else f"latchkey-{site.port or 80}"
    limits = [name for name in SETTINGS if name.startswith("LIMIT_")]
    config["LIMITS"] = {name.removeprefix("LIMIT_").lower(): config[name] for name in limits}
    config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(config["SQLALCHEMY_DATABASE_URI"], config["IS_COMMAND"])


def _engine_options(uri: str, is_command: bool) -> dict[str, Any]:
    """Return the arguments for SQLAlchemy's `create_engine`."""
    # Parameters hold visitors' input. Keep it out of error messages, and so out of logs.
    options: dict[str, Any] = {"hide_parameters": True}
    if uri.startswith("sqlite:"):
        return options
    # Wait up to 5 seconds for a lock or a dead server, as on SQLite for a lock. Commands may run for hours.
    timeouts = f"-c lock_timeout=5s -c statement_timeout={0 if is_command else '5s'}"
    # The URI's own options come last, so that they win.
    server_options = f"-c datestyle=ISO {timeouts} {make_url(uri).query.get('options', '')}"
    connection = {"connect_timeout": 5, "tcp_user_timeout": 5000, "client_encoding": "utf8"}
    return options | {
        # The server may have restarted since a connection was last used.
        "pool_pre_ping": True,
        "connect_args": connection | {"options": server_options},
        # A statement that has waited for a locked row sees the row's new values.
        "isolation_level": "READ COMMITTED",
    }


def _dangers(config: Config) -> Iterator[str]:
    """Yield the reasons why a public site would be unsafe, each with the setting to change."""
    if not config["SESSION_COOKIE_SECURE"]:
        yield "is not https: set FLASK_SITE_URL to the https:// URL that visitors use"
    if config["DEBUG"]:
        yield "would show its code to visitors: unset FLASK_DEBUG"
    new_key = f"at least {SHORTEST_SECRET_KEY} random characters"
    if not is_random(config["SECRET_KEY"]):
        yield f"needs a secret key of {new_key}: set FLASK_SECRET_KEY to the output of `{KEY_GENERATOR}`"
    if not all(map(is_random, config["SECRET_KEY_FALLBACKS"])):
        yield f"has an earlier secret key that isn't {new_key}: unset FLASK_SECRET_KEY_FALLBACKS"
    if not config["MAIL_SERVER"].strip():
        yield "can't send mail: set FLASK_MAIL_SERVER to your SMTP server"
    if not config["MAIL_USE_TLS"]:
        yield "would send mail in the clear: unset FLASK_MAIL_USE_TLS"
    sender = config["MAIL_DEFAULT_SENDER"]
    addresses = " ".join(address for _, address in getaddresses([sender]))
    if not re.fullmatch(r"[!-~]+@[!-~]+", addresses) or not sender.isprintable():
        yield "has no sender for its mail: set FLASK_MAIL_DEFAULT_SENDER to an address"
    if not config["LIMITS_ENABLED"]:
        yield "can't be run without limits: unset FLASK_LIMITS_ENABLED"


def is_random(key: str) -> bool:
    """Return True if a secret key could come from a random generator.

    It must be long, have many different characters and no repetition. It must not be an example, nor contain a word
    that examples contain.
    """
    words = ("secret", "example", "change", "replace", "password", "latchkey", "insecure", "qwerty", " ")
    sequences = ("123456789", "abcdefgh")
    # The documentation of Flask, Flask-Security and FastAPI prints these, and many sites have copied them.
    published = ("192b9bdd22ab9ed4", "pf9wkove4ikeaxvy", "09d25e094faa6ca2")
    # A key that repeats a shorter text occurs in `key + key` before the second half.
    is_varied = len(set(key)) >= 10 and (key + key).find(key, 1) == len(key)
    is_known = any(part in key.lower() for part in (*words, *sequences, *published))
    return len(key) >= SHORTEST_SECRET_KEY and is_varied and not is_known


def _prepare_folder(config: Config, folder: Path) -> None:
    """Make the folder for the site's own files. On localhost, make a secret key and a sender, too."""
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
