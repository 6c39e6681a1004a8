"""Texts in a CSV file that people open with a spreadsheet. Pure."""

# What a spreadsheet takes for a formula, perhaps after it dropped a blank; full-width signs included.
_RISKY = tuple("=+-@\t\r\n ;＝＋－＠")


def cell(text: str) -> str:
    """`text` so that no spreadsheet takes it for a formula: senders choose the values of dimensions.

    Texts that begin with a sign of _RISKY, or with an apostrophe already, get an apostrophe in front. So the
    text is what is left without the first apostrophe, and two texts never become the same.
    """
    return f"'{text}" if text.startswith((*_RISKY, "'")) else text
