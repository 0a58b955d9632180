"""Headless Chromium, and the report of a small experiment."""

import os
import shutil

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip


def unavailable(reason):
    """Skips, or fails where everything optional has to be there."""
    if os.environ.get("LCRP_REQUIRE_ALL_TESTS"):
        pytest.fail(f"{reason}, although LCRP_REQUIRE_ALL_TESTS is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A Chromium driven by selenium; pages are opened from disk only."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        unavailable("no Chromium: install Debian's packages chromium and chromium-driver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        unavailable("selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    opened.set_script_timeout(20)
    yield opened
    opened.quit()


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """Folder of a report with everything in it."""
    from lcrp.report import ReportInputs, build_report
    from support.synthetic_experiment import experiment_of

    folder = tmp_path_factory.mktemp("browser")
    build_report(folder / "report", ReportInputs.read(**experiment_of(folder)))
    return folder / "report"


@pytest.fixture(scope="session")
def large_report(tmp_path_factory):
    """A report of 80 classes and a layer of 10,000 concepts; tables of one of 20 layers."""
    return large(tmp_path_factory.mktemp("large"), {"wide": 10_000}, tabled=["layer.0"])


@pytest.fixture(scope="session")
def largest_report(tmp_path_factory):
    """A report of 80 classes, 20 layers of 500 concepts, and all tables of them."""
    layers = {"layer.19": 500}
    return large(
        tmp_path_factory.mktemp("largest"), layers, tabled=[f"layer.{n}" for n in range(20)]
    )


def large(folder, layers, tabled):
    """Builds a report of 80 classes, 19 layers of 500 concepts and some more."""
    from lcrp.report import ReportInputs, build_report
    from support.synthetic_experiment import large_tables, store_of

    classes = [f"class {n}" for n in range(81)]
    channels = layers | {f"layer.{n}": 500 for n in range(19)}
    store = store_of(
        folder,
        images=40,
        classes=classes,
        layers={name: (count, (2, 2)) for name, count in channels.items()},
        per_image=4,
    )
    inputs = ReportInputs.read(
        store=store,
        title="Large",
        layer=next(iter(layers)),
        tables=large_tables(folder, classes[:80], tabled),
    )
    build_report(folder / "report", inputs)
    return folder / "report"


class Visitor:
    """Opens pages of a report and asks them questions."""

    def __init__(self, driver, folder):
        self.driver, self.folder = driver, folder

    def open(self, page, width=1280, height=900):
        """Opens a page of the report at a width, and waits until it stands."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        self.driver.get("about:blank")  # so that a changed hash alone loads the page as well
        path, mark, address = page.partition("#")
        self.driver.get((self.folder / path).as_uri() + mark + address)
        self.wait("document.readyState === 'complete'")

    def wait(self, condition, seconds=10):
        """Waits until a JavaScript expression is true."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(
            lambda driver: driver.execute_script(f"return !!({condition})"), condition
        )

    def ask(self, expression):
        """The value of a JavaScript expression."""
        return self.driver.execute_script(f"return {expression}")

    def texts(self, selector):
        """Texts of all visible elements that match."""
        return self.ask(
            f"[...document.querySelectorAll({selector!r})]"
            ".filter((e) => e.getClientRects().length).map((e) => e.textContent.trim())"
        )

    def type(self, selector, text):
        """Replaces what a field holds, key by key."""
        from selenium.webdriver.common.by import By

        field = self.driver.find_element(By.CSS_SELECTOR, selector)
        field.clear()
        field.send_keys(text)

    def choose(self, selector, text):
        """Chooses an entry of a list by its text."""
        from selenium.webdriver.common.by import By
        from selenium.webdriver.support.ui import Select

        Select(self.driver.find_element(By.CSS_SELECTOR, selector)).select_by_visible_text(text)

    def click(self, selector):
        """Clicks the first element that matches."""
        from selenium.webdriver.common.by import By

        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def complaints(self):
        """Errors and warnings in the console since the last call, missing files among them.

        Not those about WebGL: whether there is a graphics card is the machine's affair.
        """
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] in ("SEVERE", "WARNING")
            and not ("GL" in entry["message"] and entry["level"] == "WARNING")
        ]


@pytest.fixture
def visitor(browser, report):
    """A visitor of the small report."""
    visiting = Visitor(browser, report)
    visiting.complaints()
    return visiting


@pytest.fixture
def large_visitor(browser, large_report):
    """A visitor of the large report."""
    visiting = Visitor(browser, large_report)
    visiting.complaints()
    return visiting


@pytest.fixture
def largest_visitor(browser, largest_report):
    """A visitor of the report with all tables."""
    visiting = Visitor(browser, largest_report)
    visiting.complaints()
    return visiting
