"""After signing in, Ada is sent to Eve's site."""

from urllib.parse import quote, urljoin, urlsplit

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, SITE, Stage

# Browsers take each of these for an address of another host: they skip tabs, and read a backslash as a slash.
SPELLINGS = ("//evil.example/", "/\t/evil.example/", "/\\evil.example/")

ATTACK = Attack(
    title="`next` leads to another site",
    layer="mail",
    story=(
        "Eve sends Ada a link to this very site: /sign-in?next=//evil.example/. Ada looks at the address, trusts it, "
        "and signs in. If the site now follows `next`, she arrives at Eve’s copy of the site, which says “please sign "
        "in again”, and keeps what she types. Many sites check `next`, but browsers understand more spellings of "
        "another host than developers think of."
    ),
    defence=(
        "`next` must be a path of this site, in printable characters and without a backslash. Python’s parser must "
        "find no host in it. Anything else is dropped, and Ada arrives at her account."
    ),
    cuts=(
        Cut("app/views/shared/next_page.py", 'path.startswith(("//", "/sign-"))', 'path.startswith("/sign-")'),
        Cut("app/views/shared/next_page.py", r'if "\\" in path or not path.isprintable():', "if False:"),
        Cut("app/views/shared/next_page.py", "return not (parts.scheme or parts.netloc)", "return True"),
    ),
    refused="",
    event="next_dropped",
    wins="Ada’s browser goes from the sign-in to evil.example.",
    advice=(
        "Accept only a path that begins with one slash, and check that your parser finds no host in it. Drop anything "
        "odd instead of mending it. Better still, accept only names of pages that you know."
    ),
    test="test_next_page.py::test_bad_next_is_ignored",
    alone=(
        "The first check and the last one both find //evil.example/. The second and the last one both find the host "
        "after a tab, which Python’s parser skips as browsers do. Even without all three, the backslash leads nowhere, "
        "because Werkzeug writes it as %5C into the redirect. So its check is for people who copy this code into "
        "another framework."
    ),
    sources=(
        (
            "OWASP: Unvalidated Redirects and Forwards Cheat Sheet",
            "https://cheatsheetseries.owasp.org/cheatsheets/Unvalidated_Redirects_and_Forwards_Cheat_Sheet.html",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if signing in leads Ada's browser to Eve's site."""
    ada = stage.person("Ada")
    ada.signs_in_by_mail(ADA)
    for spelling in SPELLINGS:
        ada.signs_out()
        stage.says("Ada opens a link that Eve has sent her.")
        ada.opens("/sign-in?next=" + quote(spelling))
        link = ada.asks_for_a_link(ADA, next=spelling).link
        ada.opens(link)
        if host_of(ada.sends(link).location) == "evil.example":
            return True
    return False


def host_of(location: str) -> str | None:
    """Return the host to which a browser goes."""
    return urlsplit(urljoin(SITE, location.replace("\\", "/"))).hostname
