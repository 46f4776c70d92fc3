"""The settings: the values that each may have, and the settings that a site on the internet needs."""

import multiprocessing
import os
import pwd
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from flask import Config, Flask

from app import create_app
from app.config import ConfigurationError, canonical_site_url, configure
from tests.conftest import PUBLIC, Visitor


@pytest.fixture
def configured(tmp_path):
    """Return a site with these settings: `configured(FLASK_PROXIES="1")`."""

    def create(**environ: str) -> Flask:
        return create_app(environ, str(tmp_path))

    return create


# SITE_URL.


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("http://localhost:8000", "http://localhost:8000"),
        ("  HTTP://LocalHost:8000/\n", "http://localhost:8000"),
        ("http://localhost:80", "http://localhost"),
        ("https://example.org:443/", "https://example.org"),
        ("https://example.org:80", "https://example.org:80"),
        ("http://localhost:", "http://localhost"),
        ("https://Example.ORG.", "https://example.org"),
        ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        # As in browsers. IDNA 2003 turned ß into "ss", which would be another site.
        ("https://straße.example", "https://xn--strae-oqa.example"),
    ],
)
def test_site_url_has_one_form(text, canonical):
    assert canonical_site_url(text) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "localhost:8000",
        "//example.org",
        "ftp://example.org",
        "https://",
        "https://:8000",
        "https://example.org/path",
        "https://example.org/?query",
        "https://example.org/#fragment",
        "https://user@example.org",
        "https://user:password@example.org",
        "https://example.org:port",
        "https://example.org:-1",
        "https://example.org:0",
        "https://example.org:65536",
        "https://example..org",
        "https://exam ple.org",
        "https://exam<ple>.org",
        "https://example.org\\@evil.example",
        "https://" + 64 * "a" + ".example",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "http://[::1",
        # Browsers take these for 127.0.0.1, too.
        "http://127.1:8000",
        "http://0x7f000001:8000",
    ],
)
def test_site_url_that_is_not_an_origin_is_refused(configured, text):
    with pytest.raises(ConfigurationError, match=r"^FLASK_SITE_URL=.* is not usable: .+[.]$"):
        configured(FLASK_SITE_URL=text)


@pytest.mark.parametrize("text", ["localhost:8000", "example.org", "//example.org", "https://"])
def test_message_about_an_incomplete_site_url_shows_a_complete_one(configured, text):
    with pytest.raises(ConfigurationError, match=r"give a full URL such as https://example\.org"):
        configured(FLASK_SITE_URL=text)


# Values.


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("Yes", True), ("FALSE", False), ("0", False), ("off", False)]
)
def test_booleans_are_words_or_digits(configured, text, value):
    assert configured(FLASK_LIMITS_ENABLED=text).config["LIMITS_ENABLED"] is value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("FLASK_LIMITS_ENABLED", "maybe"),
        ("FLASK_LIMITS_ENABLED", ""),
        ("FLASK_MAIL_USE_TLS", "2"),
        ("FLASK_MAIL_PORT", "smtp"),
        ("FLASK_MAIL_PORT", ""),
        ("FLASK_MAIL_PORT", "0"),
        ("FLASK_MAIL_PORT", "65536"),
        # Notices go to the addresses of the last seven days, and the activity has these.
        ("FLASK_ACTIVITY_DAYS", "6"),
        ("FLASK_PROXIES", "-1"),
        ("FLASK_PROXIES", "1.5"),
        ("FLASK_PROXIES", "²"),
    ],
)
def test_invalid_value_of_a_setting_is_refused(configured, name, text):
    with pytest.raises(ConfigurationError, match=rf"^{name}=.* is not usable: .+[.]$"):
        configured(**{name: text})


@pytest.mark.parametrize(
    "uri",
    [
        "nonsense",
        "mysql://u:hush@h/d",
        "postgresql+psycopg2://u:hush@h/d",
        "/path/latchkey.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "postgresql://u:hush@h:port/d",
    ],
)
def test_another_database_is_refused(configured, uri):
    with pytest.raises(ConfigurationError, match=r"use a URI such as sqlite:///a-file\.db or postgresql://") as refused:
        configured(FLASK_SQLALCHEMY_DATABASE_URI=uri)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("text", ["12345", "true", "null", '{"a": 1}'])
def test_setting_that_looks_like_json_stays_text(configured, text):
    """Flask's `from_prefixed_env` would turn the first into a number, which can't be a key."""
    app = configured(FLASK_SECRET_KEY=text, FLASK_SITE_NAME=text, FLASK_MAIL_PASSWORD=text)
    assert {app.config[name] for name in ("SECRET_KEY", "SITE_NAME", "MAIL_PASSWORD")} == {text}
    assert app.test_client().get("/sign-in", base_url="http://localhost:8000").status_code == 200


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SESSION_COOKIE_HTTPONLY", "false"),
        ("SESSION_COOKIE_SAMESITE", "None"),
        ("SESSION_COOKIE_SECURE", "false"),
        ("SESSION_COOKIE_NAME", "session"),
        ("SESSION_REFRESH_EACH_REQUEST", "true"),
        ("MAX_CONTENT_LENGTH", "1000000000"),
        ("RP_ID", "evil.example"),
        ("TESTING", "true"),
    ],
)
def test_fixed_value_cannot_be_set_from_the_environment(configured, name, text):
    assert configured(**PUBLIC | {f"FLASK_{name}": text}).config[name] == configured(**PUBLIC).config[name]


# A site on the internet.


def test_site_on_the_internet_with_all_its_settings_starts(configured):
    assert configured(**PUBLIC).config["RP_ID"] == "example.org"
    configured(**PUBLIC | {"FLASK_MAIL_DEFAULT_SENDER": "Jörg’s site <latchkey@example.org>"})


@pytest.mark.parametrize("name", ["", " ", "a\nb"])
def test_site_without_a_name_does_not_start(configured, name):
    with pytest.raises(ConfigurationError, match=r"FLASK_SITE_NAME=.* is not usable: use one line of printable text"):
        configured(FLASK_SITE_NAME=name)


def test_postgresql_options_of_the_uri_come_last(configured):
    """PostgreSQL uses the last value of an option."""
    uri = "postgresql://u@localhost/d?options=-c%20lock_timeout%3D9s"
    connect_args = configured(FLASK_SQLALCHEMY_DATABASE_URI=uri).config["SQLALCHEMY_ENGINE_OPTIONS"]["connect_args"]
    assert connect_args["options"].startswith("-c ")
    assert connect_args["options"].endswith(" -c lock_timeout=9s")


@pytest.mark.parametrize(("environ", "timeout"), [({}, "5s"), ({"FLASK_RUN_FROM_CLI": "true"}, "0")])
def test_only_commands_may_run_a_statement_for_longer_than_five_seconds(tmp_path, environ, timeout):
    config = Config(tmp_path)
    configure(config, str(tmp_path), {"FLASK_SQLALCHEMY_DATABASE_URI": "postgresql://u@localhost/d", **environ})
    options = config["SQLALCHEMY_ENGINE_OPTIONS"]["connect_args"]["options"]
    assert f" -c statement_timeout={timeout} " in options


@pytest.mark.parametrize(
    ("changes", "to_change"),
    [
        ({"FLASK_SITE_URL": "http://example.org"}, "FLASK_SITE_URL"),
        ({"FLASK_SITE_URL": "http://localhost.example.org"}, "FLASK_SITE_URL"),
        ({"FLASK_DEBUG": "1"}, "FLASK_DEBUG"),
        ({"FLASK_SECRET_KEY": ""}, "FLASK_SECRET_KEY"),
        ({"FLASK_SECRET_KEY": "short"}, "FLASK_SECRET_KEY"),
        ({"FLASK_SECRET_KEY": 16 * "ab"}, "FLASK_SECRET_KEY"),
        ({"FLASK_SECRET_KEY": 2 * "0f1e2d3c4b5a6978"}, "FLASK_SECRET_KEY"),
        ({"FLASK_SECRET_KEY": "change-me-to-something-random-and-long"}, "FLASK_SECRET_KEY"),
        ({"FLASK_SECRET_KEY_FALLBACKS": "short"}, "FLASK_SECRET_KEY_FALLBACKS"),
        ({"FLASK_SECRET_KEY": "abcdefghijklmnopqrstuvwxyz012345"}, "FLASK_SECRET_KEY"),
        ({"FLASK_SECRET_KEY": "qwertyuiopasdfghjklzxcvbnmqwertyuiop"}, "FLASK_SECRET_KEY"),
        ({"FLASK_SECRET_KEY": "correct horse battery staple today"}, "FLASK_SECRET_KEY"),
        # These are printed in the documentation of Flask, Flask-Security and FastAPI.
        (
            {"FLASK_SECRET_KEY": "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf"},
            "FLASK_SECRET_KEY",
        ),
        ({"FLASK_SECRET_KEY": "pf9Wkove4IKEAXvy-cQkeDPhv9Cb3Ag-wyJILbq_dFw"}, "FLASK_SECRET_KEY"),
        (
            {"FLASK_SECRET_KEY": "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"},
            "FLASK_SECRET_KEY",
        ),
        # Made by `django-admin startproject`: random, but committed with the project.
        ({"FLASK_SECRET_KEY": "django-insecure-7x!q0v$2m1w)k8z@c5r(j3n^b6t9y&p4"}, "FLASK_SECRET_KEY"),
        ({"FLASK_MAIL_SERVER": ""}, "FLASK_MAIL_SERVER"),
        ({"FLASK_MAIL_SERVER": " "}, "FLASK_MAIL_SERVER"),
        ({"FLASK_MAIL_USE_TLS": "false"}, "FLASK_MAIL_USE_TLS"),
        ({"FLASK_MAIL_DEFAULT_SENDER": ""}, "FLASK_MAIL_DEFAULT_SENDER"),
        ({"FLASK_MAIL_DEFAULT_SENDER": "nonsense"}, "FLASK_MAIL_DEFAULT_SENDER"),
        ({"FLASK_MAIL_DEFAULT_SENDER": "a@example.org, b@example.org"}, "FLASK_MAIL_DEFAULT_SENDER"),
        ({"FLASK_MAIL_DEFAULT_SENDER": "jörg@example.org"}, "FLASK_MAIL_DEFAULT_SENDER"),
        ({"FLASK_MAIL_DEFAULT_SENDER": "a@example.org\nBcc: b@example.org"}, "FLASK_MAIL_DEFAULT_SENDER"),
        ({"FLASK_LIMITS_ENABLED": "false"}, "FLASK_LIMITS_ENABLED"),
    ],
)
def test_unsafe_site_on_the_internet_does_not_start(configured, changes, to_change):
    with pytest.raises(ConfigurationError, match=rf"example\.org.*: (un)?set {to_change}\b") as refused:
        configured(**PUBLIC | changes)
    assert PUBLIC["FLASK_SECRET_KEY"] not in str(refused.value)


# The secret key of a site on localhost.


def test_secret_key_is_made_once_and_only_its_user_can_read_it(configured, tmp_path):
    key = configured().config["SECRET_KEY"]
    assert len(key) == 64
    assert configured().config["SECRET_KEY"] == key
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_empty_secret_key_is_refused(configured, tmp_path):
    (tmp_path / "secret-key").write_text("\n")
    with pytest.raises(ConfigurationError, match="secret-key is empty: remove the file"):
        configured()


def _start(name: str, at_once, folders: list[Path]) -> None:
    """Configure a site in each of these folders, at the same moment as another process does.

    This runs in a process of its own. It writes the secret key of each site into the file `name`.
    """
    for folder in folders:
        config = Config(folder)
        at_once.wait(timeout=30)
        configure(config, str(folder), {})
        (folder / name).write_text(config["SECRET_KEY"])


def test_sites_that_start_at_once_make_one_secret_key(tmp_path):
    """Two processes race in each of 200 folders.

    With threads, Python 3.11.2 would crash while several of them compile a site's routes
    (https://github.com/python/cpython/issues/106905).
    """
    spawn = multiprocessing.get_context("spawn")
    at_once = spawn.Barrier(2)
    folders = [tmp_path / str(number) for number in range(200)]
    processes = [spawn.Process(target=_start, args=(name, at_once, folders)) for name in ("one", "two")]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    for folder in folders:
        assert {file.name for file in folder.iterdir()} == {"secret-key", "one", "two"}
        assert len({file.read_text() for file in folder.iterdir()}) == 1


# The folder of the site's own files.


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Run the block as an ordinary user, because root may write everywhere."""
    user = os.geteuid()
    if not user:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(user)


def assert_refused_with_the_cure(folder: Path) -> None:
    with ordinary_user():
        cure = re.escape(f"run `sudo chown -R {os.geteuid()} '{folder}'`.")
        with pytest.raises(ConfigurationError, match=f"can't be used: Permission denied.*{cure}$"):
            create_app({}, str(folder))


def test_folder_that_cannot_be_written_is_refused_with_the_cure(tmp_path):
    (tmp_path / "not ours").mkdir(mode=0o500)
    assert_refused_with_the_cure(tmp_path / "not ours" / "instance")


def test_folder_with_a_file_of_another_user_is_refused_with_the_cure():
    """Somebody once started the site with sudo."""
    with TemporaryDirectory(prefix="instance of ") as folder:
        Path(folder, "latchkey.db").touch(mode=0o400)
        with ordinary_user():
            user = os.geteuid()
        os.chown(folder, user, -1)
        assert_refused_with_the_cure(Path(folder))


def test_folder_of_an_earlier_version_is_closed_to_others(configured, tmp_path):
    tmp_path.chmod(0o755)
    configured()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


# Cookies.


@pytest.mark.parametrize(
    ("environ", "name", "secure"),
    [
        ({}, "latchkey-8000", False),
        ({"FLASK_SITE_URL": "http://localhost:9123"}, "latchkey-9123", False),
        ({"FLASK_SITE_URL": "http://localhost"}, "latchkey-80", False),
        (PUBLIC, "__Host-latchkey", True),
    ],
    ids=["default", "another port", "port 80", "https"],
)
def test_cookie_is_for_this_site_alone(configured, environ, name, secure):
    """Cookies ignore ports, so the port is in the name; under https the prefix `__Host-` does more (RFC 6265bis)."""
    response = Visitor(configured(**environ)).get("/sign-in")
    [(found, cookie)] = SimpleCookie(response.headers["Set-Cookie"]).items()
    assert found == name
    assert bool(cookie["secure"]) is secure
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert (cookie["path"], cookie["domain"]) == ("/", "")
