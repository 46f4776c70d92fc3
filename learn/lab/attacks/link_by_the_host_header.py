"""The link in Ada's mail leads to Eve's server."""

from learn.lab.attacks import Attack, Cut
from learn.lab.stage import ADA, Stage

ATTACK = Attack(
    title="A link pointed elsewhere by the Host header",
    layer="mail",
    story=(
        "Eve wants the link that signs in as Ada. Each request names its host in a header, and a program can name any "
        "host. So Eve asks for a mail to Ada’s address, and names evil.example. Where a site builds its links from "
        "that header, Ada gets a genuine mail that leads to Eve’s server. Once Ada opens it, Eve has the token, and it "
        "works in Eve’s browser, which asked for it."
    ),
    defence=(
        "The site answers requests for its own host only. And links are built from the setting SITE_URL, never from a "
        "request."
    ),
    cuts=(
        Cut("app/views/site/protection.py", '    abort(400, "unknown_host")', "    return None"),
        Cut(
            "app/views/sign_in/mail.py",
            """current_app.config["SITE_URL"] + url_for("sign_in_link.show", token=token)""",
            """url_for("sign_in_link.show", token=token, _external=True)""",
        ),
    ),
    refused="unknown_host",
    wins="Eve is signed in as Ada.",
    advice=(
        "Write the site’s address into its settings, and build every link in a mail from it. Besides, refuse other "
        "hosts (Flask: TRUSTED_HOSTS, Django: ALLOWED_HOSTS), and tell your proxy to do so."
    ),
    test="test_protection.py::test_unknown_host_is_refused",
    alone=(
        "If the site answers any host, its links still lead to SITE_URL. If links follow the request, the site still "
        "answers no request for another host."
    ),
    sources=(
        (
            "James Kettle: Practical HTTP Host header attacks (2013)",
            "https://www.skeletonscribe.net/2013/05/practical-http-host-header-attacks.html",
        ),
        (
            "PortSwigger: Password reset poisoning",
            "https://portswigger.net/web-security/host-header/exploiting/password-reset-poisoning",
        ),
    ),
)


def attack(stage: Stage) -> bool:
    """Return True if Eve is signed in as Ada."""
    eve = stage.person("Eve")
    eve.names_the_host("evil.example")
    eve.sends("/sign-in", email=ADA)
    poisoned = [mail for mail in stage.mailbox(ADA) if "http://evil.example/" in mail.text]
    if not poisoned:
        return False
    stage.says("Ada opens the link in her mail. So Eve’s server gets the token.")
    eve.sends(poisoned[0].link)
    return eve.is_signed_in_as(ADA)
