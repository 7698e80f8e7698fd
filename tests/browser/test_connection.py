"""A connection that is lost: what a visitor did while nobody had noticed is not lost with it."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import settle, type_text
from tests.browser.wire import wait_for_messages


def test_a_text_sent_on_a_dead_connection_is_read_after_the_next_one(page, app_url):
    ways, dead = [], []

    def through(browser):
        server = browser.connect_to_server()
        ways.append(browser)
        browser.on_message(lambda message: dead.append(message) if dead else server.send(message))
        server.on_message(browser.send)
        browser.on_close(lambda code, reason: server.close())

    page.route_web_socket("**/_stcore/stream", through)
    page.goto(f"{app_url}/tokenization")
    settle(page)
    sidebar, box = page.get_by_test_id("stSidebar"), page.locator(".st-key-text textarea")
    type_text(page, "the the")
    expect(sidebar).to_contain_text("2 tokens")
    settle(page)
    dead.append(b"")  # from now on nothing arrives
    box.fill("🙂")
    box.press("Control+Enter")
    wait_for_messages(page, lambda: len(dead) > 1)  # the text was sent, and is lost
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(sidebar).to_contain_text("2 tokens")
    dead.clear()
    ways[0].close()
    expect(sidebar).to_contain_text(re.compile("4 tokens"))
    expect(box).to_have_value("🙂")
    assert len(ways) == 2
