"""Looks for faults that keep people from using a page, with axe-core (tests/browser/vendor)."""

from pathlib import Path

from playwright.sync_api import Frame, Page

SOURCE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
# The scheme changes colours and nothing else, so the dark needs only to be looked at for these.
OF_COLOURS = ("color-contrast",)
_RUN = """async (rules) => {
  const only = rules.length
    ? {type: 'rule', values: rules}
    : {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']};
  const found = await axe.run(document, {runOnly: only, resultTypes: ['violations']});
  return found.violations
    .filter((one) => ['serious', 'critical'].includes(one.impact))
    .flatMap((one) => one.nodes.slice(0, 3).map((node) => `${one.id}: ${node.html}: ${node.failureSummary}`));
}"""


def serious_faults(page: Page | Frame, rules: tuple[str, ...] = ()) -> list[str]:
    """What is serious or critical. It is told to the page from outside, so the page's policy stays as it is."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(SOURCE)
    found: list[str] = page.evaluate(_RUN, list(rules))
    return found
