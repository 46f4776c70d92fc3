"""The stage of an attack: a copy of the site with an empty database, and the people at their browsers.

This runs in the attack's own process, see child.py. Every request and its answer is written to standard output as one
line of JSON, as it happens.
"""

import json
import logging
import re
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email import message_from_bytes, policy
from html import unescape
from importlib import import_module
from pathlib import Path
from threading import Barrier, Lock, get_ident
from typing import Any, NamedTuple

from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from app import create_app, mailer, notices
from app.ceremonies.attempts import CeremonyError
from app.database import db
from app.refusals import Refusal
from authenticator import Authenticator, Json, generate_key
from learn.inside import ceremonies
from learn.inside.checks import judge

ROOT = Path(__file__).parent.parent.parent
ATTACKS = ROOT / "learn" / "lab" / "attacks"
SITE = "http://localhost:8000"

# Cookies ignore ports. So a browser sends the site's cookies with a form of this page, too: for it, both are one site.
OTHER_PORT = "http://localhost:6660"
ELSEWHERE = "https://evil.example"

ADA, EVE = "ada@example.com", "eve@example.com"

# In a mail, the code is alone in its line.
CODE = re.compile(r"^[A-Z0-9]{2,4}(?:-[A-Z0-9]{4})*$", re.MULTILINE)
RECOVERY_CODE = re.compile(r"\b[A-Z0-9]{4}(?:-[A-Z0-9]{4}){3}\b")

# These events stand for a defence that refuses nothing.
EVENTS = ("next_dropped", "second_step")

_output = Lock()


# A line of the site: its file, number and function.
Line = dict[str, Any]


class Mail(NamedTuple):
    """A mail in somebody's mailbox. A part that it doesn't have is ""."""

    subject: str
    text: str
    link: str
    code: str


class Stage:
    """The site, its mailboxes and its people."""

    def __init__(self, folder: str, database: str, **settings: str):
        environ = {f"FLASK_{name.upper()}": value for name, value in settings.items()}
        if database:
            environ["FLASK_SQLALCHEMY_DATABASE_URI"] = database
        self.app = create_app(environ=environ, instance_path=folder)
        # The reasons of all refusals, and those of each thread.
        self.reasons: list[str] = []
        self.refusals: list[Exception] = []
        self.reasons_here: dict[int, list[str]] = defaultdict(list)
        self.lines: dict[str, Line] = {}
        self.has_crashed = False
        with self.app.app_context():
            db.create_all()
        # The site's own lines would be between the steps.
        log = logging.getLogger("latchkey")
        log.handlers = [_Listener(self)]

    def person(self, name: str) -> "Person":
        """Return somebody with a browser and a device of their own. A page of the site is open in the browser."""
        return Person(self, name)

    def mailbox(self, email: str) -> list[Mail]:
        """Return the mails to this address, the newest first."""
        with self.app.app_context():
            notices.send_due()
        files = sorted(mailer.outbox(self.app).glob("*.eml"), reverse=True)
        messages = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
        return [_mail(message) for message in messages if message["To"] == email]

    def sql(self, statement: str, **values: object) -> list[Any]:
        """Run a statement in the database, for example to let time pass, and return its rows."""
        with self.app.app_context():
            result = db.session.connection().execute(text(statement), values)
            rows = list(result) if result.returns_rows else []
            db.session.commit()
        return rows

    def proofs_grow_old(self) -> None:
        """Let so much time pass that each session needs fresh proof of identity."""
        self.sql("UPDATE sessions SET proved_at = '2020-01-01 00:00:00'")
        self.says("An hour passes.")

    def at_once(self, people: Sequence["Person"], action: Callable[["Person"], TestResponse]) -> list[TestResponse]:
        """Let each of these people do this at the same moment, in a thread of their own. Return the answers."""
        barrier = Barrier(len(people))

        def wait_and_act(person: "Person") -> TestResponse:
            barrier.wait()
            return action(person)

        with ThreadPoolExecutor(len(people)) as pool:
            return list(pool.map(wait_and_act, people))

    def says(self, words: str) -> None:
        """Tell what happens between two requests."""
        emit(step="words", words=words, at=_line_of_attack())


class _Listener(logging.Handler):
    """Notes the events of the site's log."""

    def __init__(self, stage: Stage):
        super().__init__()
        self.stage = stage

    def emit(self, record: logging.LogRecord) -> None:
        """Note a refusal, or an event that stands for one, or a crash."""
        name, fields = record.getMessage(), getattr(record, "fields", {})
        if name == "refused" or name in EVENTS:
            reason = fields["reason"] if name == "refused" else name
            self.stage.reasons.append(reason)
            self.stage.reasons_here[get_ident()].append(reason)
            if line := _last_line(traceback.extract_stack()):
                self.stage.lines[reason] = line
        if record.levelno >= logging.ERROR:
            self.stage.has_crashed = True


class Person:
    """Somebody at a browser: cookies, the page that is open, and a device for passkeys.

    A browser sends cookies with a form of another site only if that site has the same host (SameSite=Lax). It keeps the
    cookies of the answer in any case. It says in Sec-Fetch-Site where the form comes from.
    """

    def __init__(self, stage: Stage, name: str):
        self.stage, self.name, self.at = stage, name, SITE
        self.ip = "127.0.0.1"
        self.base_url = SITE
        self.client: FlaskClient = stage.app.test_client()
        self.device = Authenticator(origin=SITE)

    def goes_to(self, origin: str) -> None:
        """Open a page of another site, or come back. From now on, forms and passkey answers come from there."""
        self.at = self.device.origin = origin
        self.stage.says(f"{self.name} is on a page of {origin}.")

    def names_the_host(self, host: str) -> None:
        """Write this host into each request from now on. A browser writes the URL's host, a program can write any."""
        self.base_url = f"http://{host}"
        self.stage.says(f"{self.name}’s program writes “Host: {host}” into its requests.")

    def opens(self, path: str, **options: Any) -> TestResponse:
        """Open a page of the site."""
        return self._request("GET", path, None, **options)

    def sends(self, path: str, **form: str) -> TestResponse:
        """Send a form of the page that is open."""
        return self._request("POST", path, form)

    def asks_for_a_link(self, email: str, **form: str) -> Mail:
        """Ask for the sign-in mail, and return the newest one in the mailbox. Notices may have come after it."""
        self.sends("/sign-in", email=email, **form)
        return next(mail for mail in self.stage.mailbox(email) if mail.link)

    def signs_in_by_mail(self, email: str) -> None:
        """Ask for a link, open it, and confirm."""
        link = self.asks_for_a_link(email).link
        self.opens(link)
        self.sends(link)

    def creates_a_passkey(self, **knobs: Any) -> TestResponse:
        """Create a passkey on the account page."""
        return self.registers(self.device.create(self.creation_options(), **knobs))

    def gets_a_passkey(self, email: str, **knobs: Any) -> None:
        """Sign in by mail, create a passkey, and sign out."""
        self.signs_in_by_mail(email)
        self.creates_a_passkey(**knobs)
        self.signs_out()

    def signs(self, options: Json, **knobs: Any) -> Json:
        """Answer request options with the passkey on the device."""
        self.stage.says(f"{self.name}’s device signs the challenge for {self.device.origin}.")
        return self.device.get(options, **knobs)

    def signs_in_with_a_passkey(self, **knobs: Any) -> TestResponse:
        """Sign in with the passkey on the device."""
        return self.answers(self.signs(self.request_options(), **knobs))

    def adds_a_passkey(self) -> bool:
        """Ask the site for creation options, as the account page's script does. Return True if a passkey was added."""
        answer = self.sends("/account/passkeys/options")
        if answer.status_code != 200:
            return False
        return self.registers(self.device.create(json.loads(answer.text))).status_code == 303

    def requires_a_passkey(self) -> list[str]:
        """Create a passkey, and require one for signing in to the account. Return the recovery codes."""
        self.creates_a_passkey()
        codes = RECOVERY_CODE.findall(self.sends("/account/recovery-codes").text)
        self.sends("/account/require-passkey", require="yes", kept=codes[0])
        return codes

    def registers(self, credential: Json, **form: str) -> TestResponse:
        """Send a new credential."""
        return self.sends("/account/passkeys", credential=json.dumps(credential), **form)

    def answers(self, credential: Json, **form: str) -> TestResponse:
        """Send the answer to request options."""
        return self.sends("/sign-in/passkey", credential=json.dumps(credential), **form)

    def creation_options(self) -> Json:
        """Return the options on the account page."""
        return options_in(self.opens("/account"))

    def request_options(self) -> Json:
        """Return the options on the sign-in page."""
        return options_in(self.opens("/sign-in"))

    def signs_out(self) -> None:
        """Press the button that signs out."""
        self.sends("/sign-out")

    def sits_down_at_the_browser_of(self, other: "Person") -> None:
        """Use the other's browser from now on, as it is, but with a device of one's own."""
        self.client = other.client
        self.stage.says(f"{self.name} sits down at {other.name}’s browser.")

    def copies_the_cookie_of(self, other: "Person") -> None:
        """Have the other's cookie, from now on, as it is now."""
        self._take_cookie(other)
        self.stage.says(f"{self.name} has a copy of {other.name}’s cookie.")

    def opens_tabs(self, count: int) -> list["Person"]:
        """Return so many tabs of this browser. Each keeps its own copy of the cookie."""
        tabs = [Person(self.stage, self.name) for _ in range(count)]
        for tab in tabs:
            tab._take_cookie(self)
        return tabs

    def copies_the_passkey_of(self, other: "Person") -> None:
        """Have the other's passkey on the device, with its private key."""
        self.device.credentials = [replace(credential) for credential in other.device.credentials]
        self.stage.says(f"{self.name} has a copy of {other.name}’s passkey.")

    def knows_the_passkey_of(self, other: "Person") -> None:
        """Have everything about the other's passkey on the device, but another private key."""
        made_up = generate_key(self.device.algorithm)
        self.device.credentials = [replace(each, private_key=made_up) for each in other.device.credentials]
        self.stage.says(f"{self.name} knows {other.name}’s passkey: its id and user handle, but not its private key.")

    def is_signed_in_as(self, email: str) -> bool:
        """Look at the account page. Return True if it is this account's."""
        page = self.opens("/account")
        is_signed_in = page.status_code == 200 and f'title="{email}"' in page.text
        self.stage.says(f"{self.name} is {'' if is_signed_in else 'not '}signed in as {email}.")
        return is_signed_in

    def _take_cookie(self, other: "Person") -> None:
        name = self.stage.app.config["SESSION_COOKIE_NAME"]
        cookie = other.client.get_cookie(name)
        assert cookie
        self.client.set_cookie(name, cookie.value)

    def _request(self, method: str, path: str, form: dict[str, str] | None, **options: Any) -> TestResponse:
        headers = {"User-Agent": f"Mozilla/5.0 ({self.name})"} | options.pop("headers", {})
        client = self.client
        if form is not None:
            is_same_origin, is_same_site = self.at == SITE, self.at == OTHER_PORT
            site = "same-origin" if is_same_origin else "same-site" if is_same_site else "cross-site"
            headers |= {"Sec-Fetch-Site": site, "Origin": self.at}
            if site == "cross-site":
                client = self.stage.app.test_client()  # without the cookies
        reasons = self.stage.reasons_here[get_ident()]
        before = len(reasons)
        options = {"base_url": self.base_url, "environ_base": {"REMOTE_ADDR": self.ip}} | options
        response = client.open(path, method=method, data=form, headers=headers, buffered=True, **options)
        if client is not self.client and (cookie := client.get_cookie(self.stage.app.config["SESSION_COOKIE_NAME"])):
            self.client.set_cookie(cookie.key, cookie.value)
        emit(
            step="request",
            at=_line_of_attack(),
            who=self.name,
            where=self.at,
            method=method,
            path=_shortened(path),
            form={name: _shortened(value) for name, value in (form or {}).items()},
            status=response.status_code,
            answer=_answer(response),
            reasons=reasons[before:],
            **_checks(self.stage.refusals, reasons[before:]),
        )
        return response


def options_in(page: TestResponse) -> Json:
    """Return the options of the ceremony on a page."""
    found = re.search(r'<passkey-[a-z-]+ options="([^"]+)"', page.text)
    assert found, "this page has no options"
    options: Json = json.loads(unescape(found[1]))
    return options


def emit(**line: Any) -> None:
    """Write a line about a step."""
    with _output:
        print(json.dumps(line), flush=True)


def play(name: str, folder: str, database: str) -> None:
    """Run an attack and write its verdict: it succeeded, it was refused, or the run is void because of a crash."""
    module = import_module(f"learn.lab.attacks.{name}")
    refusals = _watch_refusals()
    try:
        stage = Stage(folder, database, **module.ATTACK.settings)
        stage.refusals = refusals
        has_succeeded, error = bool(module.attack(stage)), ""
        if stage.has_crashed:
            error = "the site has crashed"
    except Exception:
        has_succeeded, error, stage = False, traceback.format_exc(), None
    reasons, lines = (stage.reasons, stage.lines) if stage else ([], {})
    wanted = next((each for each in reversed(refusals) if _reason(each) == module.ATTACK.refused), None)
    emit(
        step="verdict",
        verdict="void" if error else "succeeded" if has_succeeded else "held",
        reasons=reasons,
        line=_line(wanted) if wanted else lines.get(module.ATTACK.refused),
        error=error,
    )


def _watch_refusals() -> list[Exception]:
    """Return a list that gets every refusal of the site. This process is thrown away, so we may change the classes."""
    refusals: list[Exception] = []

    def watch(made: type[Exception]) -> None:
        make: Callable[..., None] = made.__init__

        def init(self: Exception, *args: Any, **kwargs: Any) -> None:
            make(self, *args, **kwargs)
            refusals.append(self)

        made.__init__ = init  # type: ignore[method-assign, assignment]

    watch(Refusal)
    watch(HTTPException)
    return refusals


def _reason(error: Exception) -> str:
    """Return the reason as the site logs it: see `http_error`."""
    if isinstance(error, HTTPException):
        description = error.description or ""
        return description if description.isidentifier() else error.name.lower().replace(" ", "_")
    return error.reason if isinstance(error, Refusal) else ""


def _line(error: Exception) -> Line | None:
    """Return the line of `app/` that refused. If a library refused, it is the line that called the library."""
    for each in (error.__cause__, error):
        if each and (line := _last_line(traceback.extract_tb(each.__traceback__))):
            return line
    return None


def _last_line(frames: traceback.StackSummary) -> Line | None:
    """Return the last line of `app/` in these frames, without the log itself."""
    names = [(str(Path(frame.filename).relative_to(ROOT)), frame) for frame in frames if _is_ours(frame.filename)]
    if not names:
        return None
    file, frame = names[-1]
    return {"file": file, "line": frame.lineno, "function": frame.name}


def _is_ours(filename: str) -> bool:
    return filename.startswith(str(ROOT / "app")) and filename != str(ROOT / "app" / "log.py")


def _mail(message: Any) -> Mail:
    content = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    link = re.search(r"https?://[^/\s]+(/sign-in/link/\S+)", content)
    code = CODE.search(content.replace(link[0], "") if link else content)
    return Mail(message["Subject"], content, link[1] if link else "", code[0] if code else "")


def _shortened(value: str) -> str:
    return value if len(value) <= 60 else value[:40] + "…"


def _answer(response: TestResponse) -> str:
    """Return the answer in a few words: where it leads, or the refusal, or the heading of its page."""
    if response.location:
        return f"leads to {_shortened(response.location)}"
    if response.is_json:
        # RFC 9457 if it refuses.
        return str(response.get_json().get("title", "the options of a ceremony"))
    for pattern in (r'id="refusal"[^>]*>(.*?)</p>', r"<h1[^>]*>(.*?)</h1>"):
        found = re.search(pattern, response.text, re.DOTALL)
        if found:
            return " ".join(unescape(re.sub(r"<[^>]+>", "", found[1])).split())
    return ""


def _line_of_attack() -> int | None:
    """Return the line of the attack that takes this step."""
    lines = [frame.lineno for frame in traceback.extract_stack() if Path(frame.filename).parent == ATTACKS]
    return lines[-1] if lines else None


def _checks(refusals: list[Exception], reasons: list[str]) -> Json:
    """Return the checks of a ceremony that was refused for one of these reasons: the results of "Look inside"."""
    for error in reversed(refusals):
        if isinstance(error, CeremonyError) and error.attempt and error.reason in reasons:
            ceremony = ceremonies.read(error.attempt.transcript(error.reason))
            results = judge(ceremony) if ceremony else []
            rows = [(each.check.key, each.verdict, each.expected, each.found, each.reason) for each in results]
            return {"checks": {"kind": ceremony.kind, "results": rows}} if ceremony else {}
    return {}
