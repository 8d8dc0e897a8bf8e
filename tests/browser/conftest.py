"""A real browser: chromium of the distribution, without a network."""

import re
import shutil

import pytest

LOCAL = re.compile(r"^(file|data|blob|about):|^https?://127\.0\.0\.1[:/]")
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium():
    """The browser; skips where there is none."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """An empty tab that reaches nothing but this machine; no error may be said in its console."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    refused, said = [], []

    def guard(route):
        if LOCAL.match(route.request.url):
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort()

    context.route("**/*", guard)
    page = context.new_page()
    page.on("console", lambda message: said.append((message.type, message.text)))
    page.on("pageerror", lambda error: said.append(("error", str(error))))
    yield page
    context.close()
    assert refused == []
    assert [words for kind, words in said if kind in ("error", "warning")] == []
