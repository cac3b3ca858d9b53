"""A real Chromium without a window, driven through its DevTools protocol over a pair of pipes.

No driver, no library, no port: messages are JSON, each ended by a zero byte.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

Json = dict[str, Any]

_SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --force-color-profile=srgb --lang=en-GB "
    "--remote-debugging-pipe"
)
_PATIENCE = 60.0  # seconds for an answer, on a machine that is busy with other tests


class ChromiumError(Exception):
    """The browser said no, or nothing."""


def installed() -> str | None:
    """The path of the browser, or None."""
    return os.environ.get("TSDS_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium(path: str) -> Iterator[Chromium]:
    """A browser of its own, with an empty profile, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="tsds-chromium-", ignore_cleanup_errors=True) as profile:
        browser = Chromium(path, Path(profile))
        try:
            yield browser
        finally:
            browser.close()


class Chromium:
    """The browser process and the pipes to it."""

    def __init__(self, path: str, profile: Path) -> None:
        switches = f"--user-data-dir={profile} {_SWITCHES}".split(" ")
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        # The browser reads from descriptor 3 and writes to 4. `3<&12` is beyond a plain sh.
        moved = ["sh", "-c", f'exec "$@" 3</dev/fd/{orders} 4>/dev/fd/{answers}', "sh", path, *switches, "about:blank"]
        self._log = (profile / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            moved, pass_fds=(orders, answers), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        os.close(orders)
        os.close(answers)
        self._read = b""
        self._number = 0
        self._tabs: dict[str, Tab] = {}

    @contextmanager
    def tab(self, **options: Any) -> Iterator[Tab]:
        """A tab in a context of its own: no cookies, no cache of other tabs. Options: those of `Tab.prepare`."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        try:
            target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
            session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            tab = self._tabs[session] = Tab(self, session)
            tab.prepare(**options)
            yield tab
            del self._tabs[session]
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Json:
        """Order something and wait for the answer."""
        self._number += 1
        order: Json = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            order["sessionId"] = session
        os.write(self._orders, json.dumps(order).encode() + b"\0")
        found: list[Json] = []

        def is_answered() -> bool:
            return bool(found)

        self._take(is_answered, lambda message: found.append(message) if message.get("id") == order["id"] else None)
        if "error" in found[0]:
            raise ChromiumError(f"{method}: {found[0]['error'].get('message')}")
        return dict(found[0]["result"])

    def wait(self, condition: Callable[[], bool]) -> None:
        """Take events until something holds."""
        self._take(condition, lambda message: None)

    def close(self) -> None:
        """End the browser."""
        try:
            self.call("Browser.close")
        except (ChromiumError, OSError):
            self._process.kill()
        self._process.wait(timeout=_PATIENCE)
        self._log.close()
        os.close(self._orders)
        os.close(self._answers)

    def _take(self, condition: Callable[[], bool], heard: Callable[[Json], object]) -> None:
        limit = time.monotonic() + _PATIENCE
        while not condition():
            while b"\0" not in self._read:
                if not select([self._answers], [], [], max(0.0, limit - time.monotonic()))[0]:
                    raise ChromiumError(f"nothing came from the browser for {_PATIENCE:.0f} s")
                more = os.read(self._answers, 1 << 20)
                if not more:
                    raise ChromiumError(f"the browser has ended: {Path(self._log.name).read_text()[-2000:]}")
                self._read += more
            line, _, self._read = self._read.partition(b"\0")
            message = json.loads(line)
            tab = self._tabs.get(message.get("sessionId", ""))
            if tab is not None and "method" in message:
                tab.events.append(message)
            heard(message)


class Tab:
    """One page in the browser."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session
        self.events: list[Json] = []

    def prepare(self, *, width: int = 1280, height: int = 900, dark: bool = False, scripts: bool = True) -> None:
        """How the page is looked at."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)
        narrow = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=narrow)
        self.colours(dark=dark)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def colours(self, *, dark: bool) -> None:
        """Whether the reader prefers dark colours."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def call(self, method: str, **parameters: Any) -> Json:
        return self._browser.call(method, self._session, **parameters)

    def open(self, address: str) -> None:
        """Go to an address and wait until it is loaded."""
        self.events.clear()
        begun = self.call("Page.navigate", url=address)
        if begun.get("errorText"):
            raise ChromiumError(f"{address}: {begun['errorText']}")
        # Not any event of the kind: that of the empty page before may be late, and half a page would be looked at.
        loaded = {"name": "load", "loaderId": begun["loaderId"]}
        self.wait(lambda: any(loaded.items() <= event["params"].items() for event in self.events))

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait for events of this page until something holds."""
        self._browser.wait(condition)

    def run(self, expression: str) -> Any:
        """The value of an expression, or of its promise; works where the page's own scripts are switched off."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise ChromiumError(f"{expression[:200]}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        limit = time.monotonic() + _PATIENCE
        while not self.run(expression):
            if time.monotonic() > limit:
                raise ChromiumError(f"never came true: {expression}")
            time.sleep(0.05)

    def complaints(self) -> list[str]:
        """What stands in the console, and every request that did not succeed."""
        found = []
        for event in self.events:
            told = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(told["exceptionDetails"]))
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append(str(told["args"]))
            elif event["method"] == "Log.entryAdded":  # among others, what the content security policy refused
                found.append(f"{told['entry']['level']}: {told['entry']['text']}")
            elif event["method"] == "Network.loadingFailed":
                found.append(str(told.get("blockedReason") or told["errorText"]))
        return found

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(b64decode(shot["data"]))
