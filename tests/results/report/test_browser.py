"""The page in a real browser: what a reader clicks on, on a desk and on a phone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import hostile
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium and chromedriver here"),
]
QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def browser(tmp_path: Path, page: str) -> Iterator[webdriver.Chrome]:
    """A browser that has opened the page."""
    options = Options()
    options.binary_location = str(BROWSER)
    for argument in (*QUIET, f"--user-data-dir={tmp_path / '浏览器'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        path = tmp_path / "报告.html"
        path.write_bytes(page.encode("utf-8", "backslashreplace"))
        driver.get(path.as_uri())
        yield driver
    finally:
        driver.quit()


def queries(browser: webdriver.Chrome) -> list[str]:
    """The numbers at the end of the listed queries (第0问 …)."""
    buttons = browser.find_elements(By.CSS_SELECTOR, "#list button")
    return [button.text.splitlines()[0].split("第")[-1][0] for button in buttons]


def choose(browser: webdriver.Chrome, select: str, value: str) -> None:
    Select(browser.find_element(By.ID, select)).select_by_value(value)


def test_a_reader_filters_and_opens_samples(browser: webdriver.Chrome) -> None:
    assert queries(browser) == ["0", "1", "2"]
    choose(browser, "kind", "flips")
    assert queries(browser) == ["0"]
    choose(browser, "model", "1")  # exact in the second model alone: none
    assert queries(browser) == []
    assert browser.find_element(By.ID, "count").text == "0 of 3 requests"
    choose(browser, "kind", "misses")
    assert queries(browser) == ["0", "2"]
    choose(browser, "model", "0")
    assert queries(browser) == ["2"]
    choose(browser, "kind", "failures")
    assert queries(browser) == ["2"]
    choose(browser, "kind", "all")
    choose(browser, "share", "普通")
    assert queries(browser) == ["0"]
    choose(browser, "share", "")
    choose(browser, "length", ">65")
    assert queries(browser) == []
    choose(browser, "length", "<35")
    browser.find_element(By.ID, "search").send_keys("第1问")
    assert queries(browser) == ["1"]

    browser.find_element(By.ID, "search").clear()
    browser.find_element(By.ID, "search").send_keys("问")
    browser.find_elements(By.CSS_SELECTOR, "#list button")[2].click()
    article = browser.find_element(By.ID, "sample")
    holds = "return arguments[0].textContent.includes(arguments[1])"  # (the driver drops half letters)
    for text in (*hostile.TEXTS[:4], hostile.TEXTS[5], "图片/2.jpg (no such image under"):
        assert browser.execute_script(holds, article, text), text
    assert article.find_elements(By.TAG_NAME, "pre")[1].text == hostile.TEXTS[0]
    images = article.find_elements(By.TAG_NAME, "img")
    sizes = "return arguments[0].map((image) => [image.complete, image.naturalWidth])"
    assert browser.execute_script(sizes, images) == [[True, 160], [True, 160]]

    assert browser.execute_script("return typeof window.hacked") == "undefined"
    count = "return document.querySelectorAll('script, iframe, b, svg[onload]').length"
    assert browser.execute_script(count) == 2  # the page's own scripts
    assert browser.get_log("browser") == []


def test_it_can_be_read_on_a_phone_and_by_keyboard(browser: webdriver.Chrome) -> None:
    device = {"width": 375, "height": 812, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    focus = "document.querySelector('#list button').focus()"
    browser.execute_script(focus)
    browser.switch_to.active_element.send_keys("\ue007")  # enter
    assert browser.switch_to.active_element.tag_name == "h3"
    assert browser.switch_to.active_element.text.endswith("第0问")
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 375
    browser.find_element(By.CSS_SELECTOR, ".back").send_keys("\ue007")
    assert browser.switch_to.active_element.get_attribute("aria-current") == "true"
    assert browser.get_log("browser") == []
