"""The page of `uswitch web` in Chromium: what it draws, beside what the command says of the same lab.

Started by tests/lab/web/browser.rs as root, in namespaces of its own, with the binary under test; a
second argument is a folder for pictures. Every wait is for something to happen, with a generous limit.
Whatever the page does, it must break no rule of its Content-Security-Policy, log no error, and ask no
other server for anything.
"""

import contextlib
import http.server
import json
import re
import subprocess
import sys
import threading
import time

from playwright.sync_api import expect, sync_playwright

USWITCH = sys.argv[1]
PICTURES = sys.argv[2] if len(sys.argv) > 2 else None
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)

# A rule of the policy broken anywhere is written to the console as an error.
WATCH = """
document.addEventListener('securitypolicyviolation', event => console.error('policy: ' + event.violatedDirective));
"""
# All texts of the picture with their boxes: none may lie over another, or outside of its own frame; and
# no frame over another.
OVERLAPS = """() => {
  const texts = [...document.querySelectorAll('svg g text')].filter(text => text.textContent);
  const boxes = texts.map(text => [text.textContent, text.getBoundingClientRect(), text.parentNode.querySelector('rect').getBoundingClientRect()]);
  const wrong = [];
  boxes.forEach(([text, a, frame], n) => {
    if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.bottom > frame.bottom + 1) wrong.push(text + ' leaves its box');
    for (const [other, b] of boxes.slice(n + 1)) {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1 && high > 2.5) wrong.push(text + ' over ' + other);
    }
  });
  const frames = [...document.querySelectorAll('svg rect')].map(frame => [frame.parentNode.dataset.id, frame.getBoundingClientRect()]);
  frames.forEach(([id, a], n) => {
    for (const [other, b] of frames.slice(n + 1)) {
      if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) wrong.push(id + ' over ' + other);
    }
  });
  return wrong;
}"""


def uswitch(*words, code=0):
    done = subprocess.run([USWITCH, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == code or code is None, (words, done.stdout, done.stderr)
    return done.stdout


def shown(what):
    return json.loads(uswitch("show", what, "-j"))


def until(what, look):
    limit = time.monotonic() + PATIENCE / 1000
    while not (found := look()):
        assert time.monotonic() < limit, f"never: {what}"
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def served():
    web = subprocess.Popen([USWITCH, "web"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield web, web.stdout.readline().strip()
    finally:
        web.kill()
        web.wait()


@contextlib.contextmanager
def running(*words):
    process = subprocess.Popen([USWITCH, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Pages:
    """Tabs, and what went wrong in any of them."""

    def __init__(self, browser, url):
        self.browser, self.url, self.wrong, self.expected = browser, url, [], []
        self.asked = {}

    def open(self, url=None, **options):
        context = self.browser.new_context(**{"viewport": {"width": 1100, "height": 900}, **options})
        context.add_init_script(WATCH)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda said: said.type in ("error", "warning") and self.note(said.text))
        page.on("pageerror", lambda error: self.note(f"exception: {error}"))
        server = self.url.split("#")[0]
        page.on("request", lambda asked: asked.url.startswith((server, "data:", "blob:", "about:")) or self.note(f"asks {asked.url}"))
        self.asked[page] = asked = []
        page.on("request", lambda request: request.url.startswith("data:") or asked.append(request.url))
        page.goto(url or self.url)
        return page

    def note(self, text):
        if not any(re.search(pattern, text) for pattern in self.expected):
            self.wrong.append(text)

    @contextlib.contextmanager
    def expecting(self, pattern):
        self.expected.append(pattern)
        yield

    def clean(self):
        assert not self.wrong, self.wrong


def nodes(page):
    return page.locator("#picture g.node")


def picture(page, name):
    wrong = page.evaluate(OVERLAPS)
    assert not wrong, wrong
    if PICTURES:
        page.evaluate("scrollTo(0, 0)")
        size = page.evaluate("[innerWidth, Math.min(document.documentElement.scrollHeight, 1150)]")
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True, clip=dict(zip(("x", "y", "width", "height"), (0, 0, *size))))


def names(page):
    return sorted(i.removeprefix("node/") for i in nodes(page).evaluate_all("all => all.map(g => g.dataset.id)"))


def draws_what_there_is(pages):
    page = pages.open()
    expect(nodes(page)).to_have_count(5)
    assert names(page) == sorted(node["name"] for node in shown("topology")["nodes"])
    expect(page.locator("#nodes tbody tr")).to_have_count(5)
    expect(page.locator("#title")).to_have_text("lab uswitch")
    expect(page.locator("#state")).to_contain_text("running since")
    expect(page.locator("g.network")).to_have_count(1)
    expect(page.locator("g.gateway")).to_have_count(1)
    expect(page.locator("g.world")).to_contain_text("8.8.8.8")
    label = page.locator("#picture svg").get_attribute("aria-label")
    assert label.startswith("5 nodes, 1 network"), label
    # One lab has one picture.
    drawing = "[...document.querySelectorAll('#picture path, #picture rect')].map(e => ['d', 'x', 'y', 'width', 'height'].map(name => e.getAttribute(name)))"
    first = page.evaluate(drawing)
    page.reload()
    expect(nodes(page)).to_have_count(5)
    assert page.evaluate(drawing) == first

    uswitch("add", "web")
    expect(page.locator('[data-id="node/web"]')).to_have_count(1)
    expect(page.locator("#nodes tbody tr")).to_have_count(6)
    uswitch("remove", "web")
    uswitch("add", "renamed")
    expect(page.locator('[data-id="node/renamed"]')).to_have_count(1)
    expect(page.locator('[data-id="node/web"]')).to_have_count(0)
    uswitch("remove", "renamed")
    uswitch("network", "add", "dmz", "--subnet", "10.2.0.0/24")
    uswitch("add", "db", "--network", "dmz", "--network", "lan")
    expect(page.locator("g.network")).to_have_count(2)
    expect(page.locator("#nodes tbody tr")).to_have_count(7)
    picture(page, "two-networks")
    uswitch("remove", "db")
    uswitch("network", "remove", "dmz")
    expect(nodes(page)).to_have_count(5)

    uswitch("link", "net2", "down")
    expect(page.locator(".way.down")).to_have_count(1)
    expect(page.locator('[data-id="node/net2"]')).to_contain_text("down")
    uswitch("link", "net2", "up")
    expect(page.locator(".way.down")).to_have_count(0)
    return page


def tells_drops_with_their_reasons(page):
    uswitch("port", "net3", "--locked", "on")
    uswitch("fdb", "flush")
    uswitch("ping", "net3", "net1", "-c", "1", "-W", "0.2", code=None)
    expect(page.locator('[data-id="node/net3"] .bad')).to_contain_text("locked")
    expect(page.locator(".way.drops")).to_have_count(1)
    page.locator("summary", has_text="Drops").click()
    row = page.locator("#drops tbody tr", has_text="port veth3")
    expect(row).to_contain_text("locked")
    expect(page.locator("#drops tbody tr", has_text="locked")).to_have_count(1)
    total = next(port for port in shown("ports") if port["ifname"] == "veth3")["drops"]["locked"]
    expect(row.locator("td").nth(1)).to_have_text(str(total))
    uswitch("port", "net3", "--locked", "off")


def says_the_rates_that_show_says(page):
    server = [USWITCH, "exec", "net2", "--", "iperf3", "-s", "-1"]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as iperf:
        until("iperf3 listens", lambda: "5201" in uswitch("exec", "net2", "--", "ss", "-ltn"))
        flow = ["exec", "net1", "--", "iperf3", "-c", "10.100.0.20", "-t", "600", "-b", "50M"]
        with running(*flow) as client:
            def alike():
                said = next(port for port in shown("ports") if port["ifname"] == "veth1").get("rates")
                here = page.evaluate("port('veth1').rx.bps")
                return said and here > 1e6 and abs(here - said["rx"]["bits_per_second"]) < here / 10
            until("the rates are within a tenth", alike)
            expect(page.locator(".way.busy")).not_to_have_count(0)
            wide = page.evaluate("Math.max(...[...document.querySelectorAll('.way.busy')].map(w => +w.getAttribute('stroke-width')))")
            assert wide > 5, wide
            picture(page, "light")
            client.kill()
        iperf.kill()


def follows_packets(pages, page):
    page.fill("#filter", "net1 icmp")
    page.click("#go")
    expect(page.locator("#followed")).to_have_text("waiting for packets …")
    # The stream begins anew, and sees no packet from before.
    until("a walk", lambda: uswitch("ping", "net1", "8.8.8.8", "-c", "1") and page.locator("#walks li").count())
    request = page.locator("#walks button", has_text="10.100.0.10 > 8.8.8.8").first
    request.click()
    expect(request).to_have_attribute("aria-current", "true")
    expect(page.locator("#steps")).to_contain_text("ip.ttl: 64 → 63")
    expect(page.locator("#steps")).to_contain_text("ip.src: 10.100.0.10 → 203.0.113.2")
    expect(page.locator("#steps li").last).to_have_text("uplink")
    # Node to network, network to gateway, gateway to the outside.
    expect(page.locator("path.lit")).to_have_count(3)
    moved = "document.getAnimations().every(a => a.playState === 'finished')"
    until("all of the way is lit", lambda: page.evaluate(moved))
    picture(page, "follow")
    page.emulate_media(reduced_motion="reduce")
    assert page.locator("path.lit").first.evaluate("lit => getComputedStyle(lit).animationName") == "none"
    page.emulate_media(reduced_motion="no-preference")
    page.click("#halt")
    expect(page.locator("#followed")).to_have_text("stopped")

    # What is typed is text, wherever it comes back.
    with pages.expecting("422"):
        page.fill("#filter", "net1 <img src=x onerror=alert(1)>")
        page.click("#go")
        expect(page.locator("#followed.bad")).to_contain_text("<img")
    assert page.locator("img").count() == 0
    expect(page.locator("#state")).to_contain_text("running since")


def saves_a_capture(page):
    with running("ping", "net1", "net2", "-i", "0.05"):
        page.fill("#wanted", "net1 icmp")
        page.fill("#count", "4")
        page.fill("#seconds", "600")
        with page.expect_download() as download:
            page.click("#record")
        assert download.value.suggested_filename == "uswitch.pcapng"
        with open(download.value.path(), "rb") as file:
            assert file.read(4) == b"\x0a\x0d\x0d\x0a"
    expect(page.locator("#captured")).to_contain_text("saved")


def is_read_in_the_dark_and_on_a_telephone(pages):
    dark = pages.open(color_scheme="dark")
    expect(nodes(dark)).to_have_count(5)
    colours = dark.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    assert colours == ["rgb(22, 24, 27)", "rgb(236, 236, 236)"], colours
    picture(dark, "dark")
    dark.context.close()
    narrow = pages.open(viewport={"width": 400, "height": 800})
    expect(nodes(narrow)).to_have_count(5)
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 400
    picture(narrow, "narrow")
    narrow.context.close()


def tells_a_ninth_page(pages, page):
    page.context.close()
    others = [pages.open() for _ in range(8)]
    for other in others:
        expect(nodes(other)).to_have_count(5)
    with pages.expecting("503"):
        ninth = pages.open()
        expect(ninth.locator("#state")).to_contain_text("8 pages look at this lab already")
        others.pop().context.close()
        expect(nodes(ninth)).to_have_count(5)
    for other in [*others, ninth]:
        other.context.close()


class Foreign(http.server.BaseHTTPRequestHandler):
    """A page of another origin."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>foreign</title>")

    def log_message(self, *_):
        pass


def keeps_strangers_out(pages):
    server, token = pages.url.split("/#")
    port = server.rsplit(":", 1)[1]
    with pages.expecting("401"):
        page = pages.open(f"{server}/")
        expect(page.locator("#state")).to_contain_text("open the address that `uswitch web` printed")
        assert nodes(page).count() == 0
        page.context.close()
    context = pages.browser.new_context()
    page = context.new_page()
    assert page.goto(f"http://evil.test:{port}/").status == 421
    assert page.request.post(f"{server}/events", headers={"x-uswitch-token": token}).status == 405
    foreign = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    threading.Thread(target=foreign.serve_forever, daemon=True).start()
    page.goto(f"http://127.0.0.1:{foreign.server_address[1]}/")
    reach = """async ([url, headers]) => {
        try { return 'read ' + (await (await fetch(url, { headers })).text()).length; } catch (error) { return error.name; }
    }"""
    for headers in ({"x-uswitch-token": token}, {}):
        assert page.evaluate(reach, [f"{server}/events", headers]) == "TypeError"
    # Nor can it be shown in a frame.
    with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
        page.evaluate("url => { const f = document.createElement('iframe'); f.src = url; document.body.append(f); }", pages.url)
    foreign.shutdown()
    context.close()


# What the page does for news of no and of one port: how often it goes through all that it knows, and what
# of the document it touches.
WORK = """async () => {
  const frame = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  let passes = 0, touched = [];
  facts[Symbol.iterator] = () => { passes++; return facts.entries(); };
  const watch = new MutationObserver(records => touched.push(...records.map(record => record.target)));
  for (const part of ['picture', 'tables']) {
    watch.observe($(part), { subtree: true, childList: true, characterData: true, attributes: true });
  }
  const told = async change => {
    await frame(); touched = []; passes = 0;
    handle('change', change); await frame();
    return { passes, touched };
  };
  const none = await told({});
  const [name, value] = [...facts.entries()].find(([key, value]) => key.startsWith('port/') && value.node);
  const port = structuredClone(value);
  port.rx.bps += 123456789;
  const one = await told({ set: { [name]: port } });
  delete facts[Symbol.iterator];
  const rows = new Set(one.touched.map(target => target.closest && target.closest('#nodes tr')).filter(Boolean));
  return { idle: [none.passes, none.touched.length], passes: one.passes, touched: new Set(one.touched).size, rows: rows.size };
}"""


def costs_what_has_changed(page, count):
    """News cost what they change, however many nodes there are: no test of time."""
    # The lab's own news, which would be counted in, are kept away.
    page.evaluate("listening.abort()")
    work = page.evaluate(WORK)
    assert work["idle"] == [0, 0], work
    assert work["rows"] == 1, work
    # Once for each kind of facts.
    assert work["passes"] <= 8, work
    # Its way, its box, a line in each, and its row.
    assert work["touched"] <= 10, work
    assert page.locator("#nodes tbody tr").count() == count


def waits_for_a_lab_that_stops(pages):
    page = pages.open()
    expect(nodes(page)).to_have_count(5)
    page.evaluate("window.same = true")
    uswitch("down")
    stopped = time.monotonic()
    expect(page.locator("#state")).to_contain_text("not there")
    told = time.monotonic() - stopped
    for count in (1, 60):
        uswitch("up", "-n", str(count))
        expect(nodes(page)).to_have_count(count)
        expect(page.locator("#nodes tbody tr")).to_have_count(count)
        assert page.evaluate("window.same"), "it was loaded anew"
        if count == 60:
            picture(page, "sixty")
            again = pages.open()
            expect(nodes(again)).to_have_count(60)
            drawn = again.evaluate("performance.getEntriesByName('drawn').at(-1).startTime")
            print(f"told of the end after {told:.1f} s; 60 nodes drawn {drawn:.0f} ms after the page was asked for")
            # The page and its stream.
            assert len(pages.asked[again]) == 2, pages.asked[again]
            costs_what_has_changed(again, 60)
            again.context.close()
        uswitch("down")
    uswitch("up", "mesh", "-n", "5")
    expect(page.locator("#picture .way")).to_have_count(10)
    picture(page, "mesh")
    uswitch("down")
    return page


def groups_what_is_too_much_to_draw(pages, page):
    uswitch("up", "-n", "61")
    expect(nodes(page)).to_have_count(1)
    expect(nodes(page)).to_contain_text("61 nodes")
    expect(page.locator("#nodes tbody tr")).to_have_count(61)
    uswitch("remove", "net7")
    expect(nodes(page)).to_have_count(60)
    uswitch("add", "web")
    expect(nodes(page)).to_have_count(1)
    expect(nodes(page)).to_contain_text("61 nodes")
    expect(page.locator("#nodes tbody tr", has_text="web")).to_have_count(1)

    # A thousand by the page's own means: the stream of this lab, with as many nodes.
    facts = page.evaluate("Object.fromEntries(facts)")
    for number in range(100, 1039):
        for kind, name, told in (("node", "net1", f"made{number}"), ("port", "veth1", f"port{number}")):
            facts[f"{kind}/{told}"] = json.loads(json.dumps(facts[f"{kind}/{name}"]).replace('"veth1"', f'"port{number}"'))
            facts[f"{kind}/{told}"]["n"] = number
    stream = f"event: snapshot\ndata: {json.dumps(facts)}\n\n"
    made = pages.open("about:blank")
    made.route("**/events*", lambda route: route.fulfill(body=stream, content_type="text/event-stream"))
    made.goto(pages.url)
    expect(nodes(made)).to_have_count(1)
    expect(nodes(made)).to_contain_text("1000 nodes")
    expect(made.locator("#nodes tbody tr")).to_have_count(1000)
    costs_what_has_changed(made, 1000)
    picture(made, "thousand")
    made.context.close()


def main():
    uswitch("up", "-n", "5")
    with sync_playwright() as play, served() as (web, url):
        browser = play.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--host-resolver-rules=MAP evil.test 127.0.0.1"],
        )
        pages = Pages(browser, url)
        begun = time.monotonic()

        def done(what):
            pages.clean()
            print(f"{time.monotonic() - begun:6.1f} s  {what}", flush=True)

        page = draws_what_there_is(pages)
        done("draws what there is")
        tells_drops_with_their_reasons(page)
        done("drops")
        says_the_rates_that_show_says(page)
        done("rates")
        follows_packets(pages, page)
        done("follows packets")
        saves_a_capture(page)
        done("capture")
        is_read_in_the_dark_and_on_a_telephone(pages)
        done("dark, narrow")
        tells_a_ninth_page(pages, page)
        done("a ninth page")
        keeps_strangers_out(pages)
        done("strangers")
        page = waits_for_a_lab_that_stops(pages)
        done("the lab stops and comes back")
        groups_what_is_too_much_to_draw(pages, page)
        done("a thousand nodes")
        with pages.expecting("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET"):
            web.kill()
            expect(page.locator("#state")).to_contain_text("`uswitch web` does not answer")
        done("the server stops")
        browser.close()
    uswitch("down")


main()
