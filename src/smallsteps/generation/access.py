"""Where a model is asked and who gets the key.

A base URL is checked before anything is sent or written: user names, passwords and queries in it
are refused, as URLs stand in recipes, results, pages and the store of paid replies. The key,
`OPENAI_API_KEY`, belongs to one host: that of `OPENAI_BASE_URL`, or api.openai.com where that is
not set. It also goes to servers on this machine, to no other host whatever a recipe names, and
never over plain http through a network. `OPENAI_API_KEY=none` says that the server needs no key;
none is sent then."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from smallsteps.errors import RecipeError

OPENAI = "https://api.openai.com/v1"

NO_KEY = ("none", "empty", "-")
"""Values of OPENAI_API_KEY, in any case, that say that the server needs no key."""

LOOPBACK = "localhost"
"""The name of this machine; names that end in it are this machine as well (RFC 6761)."""

CHAT = "/chat/completions"


@dataclass(frozen=True)
class Withheld:
    """A key that does not go to a server."""

    reason: str
    """Why, and what to type next."""


@dataclass(frozen=True)
class Access:
    """What comes from the environment, never from a recipe; the key shows in no repr."""

    base_url: str | None = None
    """OPENAI_BASE_URL: for models without a URL of their own; the key belongs to its host."""
    key: str | None = None
    """OPENAI_API_KEY."""

    def __repr__(self) -> str:
        return f"Access(base_url={self.base_url!r}, key={'***' if self.key else None})"

    def url_for(self, base_url: str | None, role: str) -> str:
        """The checked URL of the model that plays `role`. Raises RecipeError, which never repeats a
        password."""
        if base_url is not None:
            return check_url(base_url, f"the {role}'s base URL")
        return OPENAI if self.base_url is None else check_url(self.base_url, "OPENAI_BASE_URL")

    def key_for(self, url: str) -> str | Withheld:
        """The key for `url`, empty for a server that needs none."""
        key = (self.key or "").strip()
        if key.lower() in NO_KEY or (not key and on_this_machine(url)):
            return ""
        if not key:
            return Withheld(
                f"no key for {url}: set the environment variable OPENAI_API_KEY "
                "(to `none` where the server needs no key)."
            )
        home, host = host_of(self.base_url or OPENAI), host_of(url)
        if host == home or on_this_machine(url) or isinstance(check_key(key, url), Withheld):
            return check_key(key, url)
        why = "" if self.base_url else "OPENAI_BASE_URL is not set, so "
        what = ", the host of OPENAI_BASE_URL" if self.base_url else ""
        return Withheld(
            f"{why}OPENAI_API_KEY goes to {home} alone{what}, not to {host}. If the key is for "
            f"{host}, type: export OPENAI_BASE_URL={url}. If that server needs no key: "
            "export OPENAI_API_KEY=none"
        )


def check_url(url: str, name: str) -> str:
    """`url` without spaces around it, fit to be asked. `name` says where it stands.

    Raises RecipeError, which never repeats a password.
    """
    url = url.strip()
    if "@" in url:
        raise RecipeError(
            f"{name} {_shown(url)!r} carries a user name or a password. Remove it: URLs are "
            "written to recipes, pages and the reply store. Put a key into OPENAI_API_KEY."
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise RecipeError(f"{name} {_shown(url)!r} is no URL: {error}.") from None
    if parts.scheme not in ("http", "https"):
        raise RecipeError(
            f"{name} {_shown(url)!r}: expected http://… or https://…, "
            "for example http://localhost:8000/v1."
        )
    if parts.query or parts.fragment:
        raise RecipeError(
            f"{name} {_shown(url)!r}: expected no `?` and no `#` in it. Write the part before them."
        )
    if parts.path.rstrip("/").endswith(CHAT):
        raise RecipeError(
            f"{name} {url!r}: expected the part before {CHAT}. "
            f"Write {url.rstrip('/')[: -len(CHAT)]}."
        )
    if not host or port == 0 or not url.isprintable() or any(letter.isspace() for letter in url):
        raise RecipeError(
            f"{name} {_shown(url)!r}: expected a URL such as http://localhost:8000/v1."
        )
    from httpx2 import URL, InvalidURL

    try:
        URL(url)
    except InvalidURL as error:
        raise RecipeError(f"{name} {_shown(url)!r} is no URL: {error}.") from None
    return url


def check_key(key: str, url: str) -> str | Withheld:
    """The key as it can be sent to `url`."""
    key = key.strip()
    for place, letter in enumerate(key, 1):
        if not "!" <= letter <= "~":
            return Withheld(
                f"OPENAI_API_KEY has U+{ord(letter):04X} as its character {place}; keys are plain "
                "ASCII without spaces. Copy it again."
            )
    if key and url.lower().startswith("http:") and not on_this_machine(url):
        return Withheld(
            f"plain http would show the key to everybody between here and {host_of(url)}. Write "
            "https://… as the base URL. If the server needs no key, type: "
            "export OPENAI_API_KEY=none"
        )
    return key


def host_of(url: str) -> str:
    """The host in `url` as people compare hosts."""
    try:
        return (urlsplit(url.strip()).hostname or "").rstrip(".")
    except ValueError:
        return ""


def on_this_machine(url: str) -> bool:
    """Whether the host is a loopback address; 0.0.0.0 is one for a client.

    >>> on_this_machine("http://127.0.0.1:80/v1")
    True
    >>> on_this_machine("http://127.0.0.1.example.com/v1")
    False
    """
    host = host_of(url)
    try:
        address = ip_address(host)
    except ValueError:
        return host == LOOPBACK or host.endswith(f".{LOOPBACK}")
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _shown(url: str) -> str:
    """A URL for a message: nothing in it that may be a secret."""
    head, mark, tail = url.partition("://")
    if not mark:
        head, tail = "", url
    place = re.split("[?#]", tail.rpartition("@")[2])[0]
    return f"{head}{mark}{place}"[:200]
