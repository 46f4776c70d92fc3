"""A visitor for the benchmark: a minimal browser, and functions that sign in with it by mail or passkey."""

import gzip
import json
import re
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPResponse
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from authenticator import Authenticator
from bench.server import Server

EMAIL = "visitor@example.org"

# The headers that Chrome sends, so that both servers have to parse them.
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) "
    "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Upgrade-Insecure-Requests": "1",
}

# Files that a script imports or a stylesheet loads.
IMPORT = re.compile(r"""^\s*(?:import|export)\b[^"';(]*["']([^"']+)["']|url\(\s*["']?([^"')]+)""", re.MULTILINE)


class Tags(HTMLParser):
    """Collects the start tags of a page in `found`, as (name, attributes)."""

    def __init__(self, html: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def options(self, element: str) -> dict[str, Any]:
        """Return the WebAuthn options that the page gives this element."""
        return json.loads(next(attributes["options"] for name, attributes in self.found if name == element))


class Browser:
    """A browser with one open connection and its own cookies. Each flow uses a new one."""

    def __init__(self, server: Server):
        self._server = server
        self._connection = HTTPConnection("127.0.0.1", server.port)
        self._headers = {**HEADERS, "Host": urlsplit(server.url).netloc, "Origin": server.url}
        self._cookies: SimpleCookie = SimpleCookie()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, path: str) -> str:
        """Return the page."""
        return self._ask("GET", path, None, 200)[1]

    def post(self, path: str, **form: str) -> str:
        """Send the form, follow the redirect, and return the page at its end."""
        response, _ = self._ask("POST", path, urlencode(form), 303)
        return self.get(response.headers["Location"].removeprefix(self._server.url))

    def post_and_stay(self, path: str, **form: str) -> int:
        """Send the form and return the status of the response. Don't follow redirects."""
        return self._send("POST", path, urlencode(form))[0].status

    def close(self) -> None:
        """Close the connection. The next request opens a new one."""
        self._connection.close()

    def weigh(self, path: str) -> tuple[int, str]:
        """Return the bytes of the response body on the wire, and its text."""
        response, text = self._ask("GET", path, None, 200)
        return int(response.headers["Content-Length"]), text

    def _ask(self, method: str, path: str, body: str | None, expected: int) -> tuple[HTTPResponse, str]:
        response, text = self._send(method, path, body)
        if response.status != expected:
            raise RuntimeError(f"{method} {path} answered {response.status}:\n{text}")
        return response, text

    def _send(self, method: str, path: str, body: str | None) -> tuple[HTTPResponse, str]:
        headers = dict(self._headers)
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={cookie.value}" for name, cookie in self._cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        text = (gzip.decompress(content) if response.headers["Content-Encoding"] == "gzip" else content).decode()
        for cookie in response.headers.get_all("Set-Cookie", []):
            self._cookies.load(cookie)
        return response, text


def mailed_sign_in(server: Server, device: Authenticator) -> None:
    """Ask for a link, open it, confirm, and check that the account page comes."""
    with Browser(server) as browser:
        open_mail(browser, server)


def passkey_sign_in(server: Server, device: Authenticator) -> None:
    """Open the sign-in page, answer its options, and check that the account page comes."""
    with Browser(server) as browser:
        answer(browser, device)


def notified_sign_in(server: Server, device: Authenticator) -> None:
    """Sign in with the passkey in a browser that the site doesn't know, and wait for the notice about it."""
    # Delete the counters, so that the limit of these notices is never reached.
    server.forget("counters")
    passkey_sign_in(server, device)
    assert server.mailbox
    server.mailbox.wait_for(1)
    assert server.mailbox.take(EMAIL)


def answer(browser: Browser, device: Authenticator, email: str = EMAIL) -> None:
    """Sign the browser in with the device's passkey."""
    signed = device.get(Tags(browser.get("/sign-in")).options("passkey-sign-in"))
    expect_account(browser.post("/sign-in/passkey", credential=json.dumps(signed)), email)


def register(server: Server, email: str = EMAIL) -> Authenticator:
    """Create an account and a passkey for it. Return the device that has the passkey."""
    device = Authenticator(origin=server.url)
    with Browser(server) as browser:
        open_mail(browser, server, email)
        made = device.create(Tags(browser.get("/account")).options("passkey-registration"))
        browser.post("/account/passkeys", credential=json.dumps(made))
    return device


def open_mail(browser: Browser, server: Server, email: str = EMAIL) -> None:
    """Sign the browser in by mail, and delete the mail."""
    link = ask(browser, server, email)
    browser.get(link)
    expect_account(browser.post(link), email)


def ask(browser: Browser, server: Server, email: str) -> str:
    """Ask for the sign-in mail, delete all mail to this address, and return the link's path."""
    browser.get("/sign-in")
    browser.post("/sign-in", email=email)
    found = ""
    for message in server.take_mails(email):
        mail = message.get_body(("plain",))
        link = re.search(re.escape(server.url) + r"(/sign-in/link/\S+)", mail.get_content() if mail else "")
        found = link[1] if link else found
    assert found
    return found


def expect_account(page: str, email: str = EMAIL) -> None:
    """Stop if this isn't the visitor's account page, because a failed sign-in would be measured as a fast one."""
    assert email in page
    assert Tags(page).options("passkey-registration")


def weigh(server: Server, path: str) -> tuple[int, list[str]]:
    """Return the bytes on the wire of the page with everything that it loads, and the addresses of all these files."""
    weight, loaded, waiting = 0, list[str](), [path]
    with Browser(server) as browser:
        while waiting:
            url = waiting.pop()
            size, text = browser.weigh(url)
            weight += size
            loaded.append(url)
            if url == path:
                tags = [attributes for tag, attributes in Tags(text).found if tag in ("link", "script", "img")]
                found = [attributes.get("src") or attributes.get("href") or "" for attributes in tags]
            else:
                found = [module or image for module, image in IMPORT.findall(text)]
            resolved = [urljoin(url, each) for each in found if each and not urlsplit(each).scheme]
            waiting += [each for each in dict.fromkeys(resolved) if each not in loaded + waiting]
    return weight, loaded
