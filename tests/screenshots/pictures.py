"""Which pictures there are, and how they are taken: small, and alike for the same page."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from portal.demo import PASSWORD
from tests.browser.chromium import CHROMIUM, FLAGS

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs" / "images"
LARGEST = 150_000  # bytes
WIDE, TALL, PHONE = (1280, 860), (1280, 1240), (390, 844)
COLOURS = (128, 64, 32)
# Initech has tiers, fees, a promotion, a minimum and a tax; Acme Retail has a budget and a team.
PERSON = "ines@initech.example"
OTHERS = dict.fromkeys(("overview", "usage", "alerts", "team"), "anna@acme.example")


@dataclass(frozen=True)
class Picture:
    """`prepare` is done on the page before: a form filled, details opened. `whole`: all of the page, not a screen."""

    name: str
    path: str
    person: str = PERSON
    size: tuple[int, int] = WIDE
    dark: bool = False
    whole: bool = False
    prepare: Callable[[Page], None] | None = None


def opened_invoice(page: Page) -> None:
    """The newest invoice of the list, with its first line opened."""
    page.locator("section[aria-labelledby=issued] a.row-link").first.click()
    page.locator("main details > summary").first.click()


def wanted() -> Iterator[Picture]:
    """Each page wide, and what a phone and the dark change on those that the docs speak of."""
    pages: dict[str, tuple[str, Callable[[Page], None] | None]] = {
        "overview": ("/", None),
        "usage": ("/usage/", None),
        "invoices": ("/invoices/", None),
        "invoice": ("/invoices/", opened_invoice),
        "statement": ("/statement/", None),
        "plan": ("/plan/", None),
        "alerts": ("/alerts/", None),
        "team": ("/team/", None),
        "api-access": ("/api-access/", None),
        "settings": ("/settings/", None),
        "account": ("/account/", None),
    }
    for name, (path, prepare) in pages.items():
        size = TALL if name in ("overview", "invoice") else WIDE
        yield Picture(name, path, OTHERS.get(name, PERSON), size=size, prepare=prepare)
    for name in ("overview", "invoice"):
        path, prepare = pages[name]
        yield Picture(f"{name}-phone", path, OTHERS.get(name, PERSON), size=PHONE, prepare=prepare)
    yield Picture("overview-dark", "/", OTHERS["overview"], dark=True)


def take(url: str, folder: Path, *, only: Sequence[str], say: Callable[[str], None]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        people: dict[str, list[dict[str, object]]] = {}
        for picture in wanted():
            if only and picture.name not in only:
                continue
            page = _page(browser, url, picture, people)
            answer = page.goto(picture.path)
            if answer is None or answer.status != 200:
                raise SystemExit(f"{picture.path} answered {answer and answer.status}.")
            if picture.prepare:
                picture.prepare(page)
                page.wait_for_load_state()
            page.mouse.move(0, 0)
            size = _write(
                page.screenshot(full_page=picture.whole, animations="disabled"), folder / f"{picture.name}.png"
            )
            say(f"{picture.name}.png  {size / 1000:.0f} KB")
            page.context.close()
        browser.close()


def _page(browser: Browser, url: str, picture: Picture, people: dict[str, list[dict[str, object]]]) -> Page:
    width, height = picture.size
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if picture.dark else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
        # The figures stand still, so nothing needs to ask for them again; the pages are whole without scripts.
        java_script_enabled=False,
    )
    page = context.new_page()
    if picture.person not in people:
        page.goto("/sign-in/")
        page.locator("input[name=username]").fill(picture.person)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("input[name=password]").press("Enter")
        page.wait_for_url(lambda path: "sign-in" not in path)
        people[picture.person] = context.cookies()  # type: ignore[assignment]
    context.add_cookies(people[picture.person])  # type: ignore[arg-type]
    return page


def _write(shot: bytes, path: Path) -> int:
    """As few colours as keep it below the largest size; the text of a page needs no more."""
    image = Image.open(BytesIO(shot)).convert("RGB")
    for colours in COLOURS:
        out = BytesIO()
        image.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            out, "PNG", optimize=True
        )
        if out.tell() <= LARGEST:
            break
    path.write_bytes(out.getvalue())
    return out.tell()
