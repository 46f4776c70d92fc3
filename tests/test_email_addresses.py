"""Email addresses: each has one form, and invalid ones are refused."""

import pytest

from tests import mails
from tests.conftest import expect


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("Ada@Example.ORG", "ada@example.org"),
        ("  ada@example.org\r\n", "ada@example.org"),
        ("ada+news@example.org", "ada+news@example.org"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@example.test", "ada@example.test"),
        ("ada=x?y@example.org", "ada=x?y@example.org"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\N{COMBINING DIAERESIS}cher.example", "ada@xn--bcher-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@ΕΛΛΆΣ.example", "ada@xn--hxarsa5b.example"),
        ("ada@ελλάς.example", "ada@xn--hxarsa0b.example"),
        ("ada@Пример.example", "ada@xn--e1afmkfd.example"),
        ("ada@例え.example", "ada@xn--r8jz45g.example"),
        ("ada@한국.example", "ada@xn--3e0b707e.example"),
        ("ada@ไทย.example", "ada@xn--o3cw4h.example"),
        ("ada@भारत.example", "ada@xn--h2brj9c.example"),
        ("ada@بيت.example", "ada@xn--ngbe9g.example"),
    ],
)
def test_address_has_one_form(visitor, typed, canonical):
    expect(visitor.ask(typed), 303)
    assert visitor.read_mail().message["To"] == canonical


@pytest.mark.parametrize(
    "typed",
    {
        "missing": None,
        "empty": "",
        "spaces": "   ",
        "no at": "ada.example.org",
        "no local part": "@example.org",
        "no domain": "ada@",
        "no dot": "ada@localhost",
        "two": "ada@example.org, eve@evil.example",
        "two, without a space": "ada@example.org,eve@evil.example",
        "a display name": "Ada <ada@example.org>",
        "quoted": '"ada eve"@example.org',
        "a comment": "ada(eve)@example.org",
        "an IP address": "ada@[127.0.0.1]",
        "Kelvin sign": "\N{KELVIN SIGN}ada@example.org",
        "long s": "\N{LATIN SMALL LETTER LONG S}am@example.org",
        "dotless i": "ad\N{LATIN SMALL LETTER DOTLESS I}@example.org",
        "full width": "\N{FULLWIDTH LATIN SMALL LETTER A}da@example.org",
        "full width at": "ada\N{FULLWIDTH COMMERCIAL AT}example.org",
        "zero width space": "a\N{ZERO WIDTH SPACE}da@example.org",
        "zero width space in the domain": "ada@exam\N{ZERO WIDTH SPACE}ple.org",
        "right to left": "\N{RIGHT-TO-LEFT OVERRIDE}ada@example.org",
        "new line": "ada@example.org\r\nBcc: eve@evil.example",
        "new line before the at": "ada\n@example.org",
        "NUL": "ada\0@example.org",
        "NUL in the domain": "ada@example\0.org",
        "Kelvin sign in the domain": "ada@\N{KELVIN SIGN}elvin.example",
        "long s in the domain": "ada@\N{LATIN SMALL LETTER LONG S}ite.example",
        "full width in the domain": "ada@ex\N{FULLWIDTH LATIN SMALL LETTER A}mple.org",
        "full width full stop": "ada@example\N{FULLWIDTH FULL STOP}org",
        "ideographic full stop": "ada@example\N{IDEOGRAPHIC FULL STOP}org",
        "half width ideographic full stop": "ada@example\N{HALFWIDTH IDEOGRAPHIC FULL STOP}org",
        "ligature in the domain": "ada@\N{LATIN SMALL LIGATURE FI}ne.example",
        "circled letter in the domain": "ada@\N{CIRCLED LATIN SMALL LETTER A}.example",
        "superscript in the domain": "ada@example\N{SUPERSCRIPT TWO}.org",
        "double-struck letter in the domain": "ada@\N{DOUBLE-STRUCK CAPITAL C}.example",
        "angstrom sign in the domain": "ada@\N{ANGSTROM SIGN}ngstrom.example",
        "soft hyphen in the domain": "ada@exam\N{SOFT HYPHEN}ple.org",
        "variation selector in the domain": "ada@exam\N{VARIATION SELECTOR-16}ple.org",
        "account of in the domain": "ada@\N{ACCOUNT OF}.example",
        "snowman in the domain": "ada@\N{SNOWMAN}.example",
        "encoded word": "=?utf-8?q?ada?=@example.org",
        "beginning of an encoded word": "ada=?x@example.org",
        "255 characters": "ada@" + ".".join(4 * [61 * "b"]) + ".exa",
        "254 characters until the domain is ASCII": "ada@" + ".".join(40 * ["üüüü"]) + ".example",
        "endless": 100_000 * "a",
    }.items(),
    ids=lambda item: item[0],
)
def test_invalid_address_is_refused(visitor, app, typed, unchanged, reasons):
    _, address = typed
    with unchanged():
        response = expect(visitor.post("/sign-in", {} if address is None else {"email": address}), 400)
    assert visitor.alert(response)
    assert reasons == ["invalid_email"]
    assert mails.outbox(app) == []
