"""Reads a report in Chromium as people do, and prints what it saw as JSON: python browser.py CHROMIUM PAGE [SCREENSHOTS]

SCREENSHOTS is a folder for pictures of the page, in light and dark, on a desk and on a phone."""

import json
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]
VIEWS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
COLOUR = "getComputedStyle(document.body)"


def visit(browser, address, seen, **options):
    page = browser.new_context(**options).new_page()
    page.on("console", lambda message: seen["said"].append(message.text))
    page.on("pageerror", lambda error: seen["said"].append(str(error)))
    page.on("request", lambda request: request.url == address or seen["requests"].append(request.url))
    page.goto(address)
    return page


def by_keyboard(page):
    """Tabs to the first finding and opens it, with no other help."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('details.finding > summary')"):
            page.keyboard.press("Enter")
            return page.evaluate("document.activeElement.parentElement.open && document.activeElement.parentElement.innerText")
    return None


def main(chromium, file, pictures=None):
    address = Path(file).resolve().as_uri()
    seen = {"said": [], "requests": [], "views": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for scheme, width in VIEWS:
            page = visit(browser, address, seen, viewport={"width": width, "height": 900}, color_scheme=scheme)
            seen["views"].append({
                "scheme": scheme,
                "width": width,
                "scroll_width": page.evaluate("document.documentElement.scrollWidth"),
                "ground": page.evaluate(f"{COLOUR}.backgroundColor"),
                "text": page.evaluate(f"{COLOUR}.color"),
            })
            if pictures:
                page.screenshot(path=f"{pictures}/{scheme}-{width}.png", full_page=True)
        page = visit(browser, address, seen, viewport={"width": 1280, "height": 900})
        seen["opened"] = by_keyboard(page)
        titles = "(marks) => marks.map((mark) => mark.textContent)"
        seen["bars"] = page.eval_on_selector_all("#decrypts svg.chart rect title", titles)
        for name, marks in [("heat", "#who svg rect"), ("calendar", "#coverage svg.chart rect"), ("sparks", "#keys svg.spark rect")]:
            seen[name] = page.locator(marks).count()
        seen["owned"] = page.evaluate("typeof owned !== 'undefined'")
        page.fill("#filter", "alert(1)")
        page.locator("#shown:not(:empty)").wait_for()
        seen["filtered"] = {"shown": page.locator("details.finding:visible").count()}
        page = visit(browser, address, seen, java_script_enabled=False)
        seen["without_script"] = {
            "controls": page.locator("#controls").is_visible(),
            "findings": page.locator("details.finding").count(),
        }
        browser.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
