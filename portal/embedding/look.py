"""How a page in a frame looks, as its address asks for: light or dark, and in which colour."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from invoices.colours import Accents, ColourError, accents_of, hex_of, read

AUTO = "auto"
THEMES = (AUTO, "light", "dark")


@dataclass(frozen=True, slots=True)
class EmbedLook:
    """`accent` is six digits, or empty for the installation's own colour. What is asked for and is none is left out:
    a page in another colour is better than none."""

    theme: str = AUTO
    accent: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        theme = query.get("theme", "")
        return cls(theme if theme in THEMES else AUTO, digits_of(query.get("accent", "")))

    @property
    def fixed(self) -> str:
        """The scheme that it is held to; empty where the reader's device decides."""
        return "" if self.theme == AUTO else self.theme

    @property
    def asked(self) -> dict[str, str]:
        """The parameters that ask for it again."""
        return {name: text for name, text in (("theme", self.fixed), ("accent", self.accent)) if text}


def digits_of(text: str) -> str:
    """ "0b6b58" of it, or of "#0B6B58"; nothing of what is no colour."""
    try:
        return hex_of(read(f"#{text.removeprefix('#')}"))[1:]
    except ColourError:
        return ""


def readable_accents(digits: str) -> Accents:
    """The tokens of this colour in both schemes. One too pale to be seen is darkened to the nearest that is not: here
    nobody is there to be told."""
    try:
        return accents_of(f"#{digits}")
    except ColourError as error:
        return accents_of(error.nearest)
