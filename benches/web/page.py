"""How soon the page of `uswitch web` is drawn in Chromium, and what it costs after that: a row of figures.

Started by run.sh, in namespaces of its own: page.py URL NODES. Five tabs, one after the other; medians.
"""

import statistics
import sys
import time

from playwright.sync_api import sync_playwright

URL, NODES = sys.argv[1], sys.argv[2]
TABS = 5
SECONDS = 5
# From the first frame with the picture in it on, it is seen.
PAINTED = """new Promise(done => {
  const look = () => performance.getEntriesByName('drawn').length && document.querySelector('g.node')
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now()))) : setTimeout(look, 5);
  look();
})"""


def metrics(cdp):
    return {one["name"]: one["value"] for one in cdp.send("Performance.getMetrics")["metrics"]}


def tab(browser):
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    cdp = context.new_cdp_session(page)
    cdp.send("Performance.enable")
    page.goto(URL, wait_until="commit")
    painted = page.evaluate(PAINTED)
    drawn = page.evaluate("performance.getEntriesByName('drawn').at(-1).startTime")
    before = metrics(cdp)
    time.sleep(SECONDS)
    after = metrics(cdp)
    busy = (after["TaskDuration"] - before["TaskDuration"]) / SECONDS * 100
    heap = after["JSHeapUsedSize"] / 2**20
    context.close()
    return drawn, painted, busy, heap


with sync_playwright() as play:
    browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    rows = [tab(browser) for _ in range(TABS)]
    browser.close()
drawn, painted, busy, heap = (statistics.median(column) for column in zip(*rows))
print(f"{NODES:>6} {drawn:9.0f} {painted:10.0f} {busy:8.1f} {heap:8.1f}")
