"""The pages of the portal, in the order in which people look for them: of the bar on top, and of the account's menu."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from django.urls import NoReverseMatch, reverse


@dataclass(frozen=True, slots=True)
class Section:
    """A page that is linked from every other. `name` is that of its address, as "usage"; the addresses of what lies
    below it begin with one of `below`. `more` is what its title loses on a phone."""

    name: str
    title: str
    more: str = ""
    below: tuple[str, ...] = ()


PAGES = (
    Section("overview", "Overview"),
    Section("usage", "Usage", below=("usage-", "event")),
    Section("invoices", "Invoices", below=("invoice", "line-", "statement", "credit-note")),
    Section("plan", "Plan", below=("plan-",)),
    Section("alerts", "Alerts", more="and budget", below=("alert",)),
)
ACCOUNT = (
    Section("team", "Team", below=("team-",)),
    Section("api-access", "API access", below=("api-access-",)),
    Section("settings", "Settings", below=("settings-",)),
    Section("account", "Your account", below=("account-",)),
)


@dataclass(frozen=True, slots=True)
class Link:
    """A section as it is linked: `current` is "page" on itself, "true" below it, else empty."""

    section: Section
    url: str
    current: str


def links(sections: Iterable[Section], here: str) -> list[Link]:
    """The sections that there are, as seen from the address of this name."""
    found = section_of(here)
    made = []
    for section in sections:
        if url := _address(section.name):
            current = "" if section is not found else "page" if section.name == here else "true"
            made.append(Link(section, url, current))
    return made


def section_of(name: str) -> Section | None:
    """Where an address of this name belongs."""
    sections = (*PAGES, *ACCOUNT)
    exact = next((one for one in sections if one.name == name), None)
    return exact or next((one for one in sections if one.below and name.startswith(one.below)), None)


def page_of(name: str) -> str:
    """The address to go on at with another customer from an address of this name: the page of its kind."""
    section = section_of(name)
    return (section and _address(section.name)) or reverse("portal:overview")


@cache
def _address(name: str) -> str:
    try:
        return reverse(f"portal:{name}")
    except NoReverseMatch:
        return ""
