"""Chromium without a window, spoken to over a pipe in its DevTools protocol."""

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--mute-audio", "--disable-quic", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--disable-dev-shm-usage", "--remote-debugging-pipe",
]  # fmt: skip


class Tab:
    """One open page, and what has been heard of it.

    Attributes
    ----------
    errors : list of str
        Uncaught errors of scripts, and what the console was told as an error or a warning.
    requests : list of str
        Addresses that were asked for, other than of the page itself and of data within it.
    """

    def __init__(self, to_browser: int, from_browser: int):
        self._to, self._from = to_browser, os.fdopen(from_browser, "rb")
        self._heard = b""
        self._count = 0
        self._session = None
        self._loaded = False
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        """Ask the browser something and wait for its answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, path: Path, width: int, height: int = 800) -> None:
        """Show a page in a window of that size, and wait until it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.errors, self.requests, self._loaded = [], [], False
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not self._loaded:
            self._note(self._next())

    def run(self, script: str) -> object:
        """Evaluate an expression in the page and return its value."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key where the focus is: "Enter", "Tab" or " "."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        code = {"Enter": 13, "Tab": 9, " ": 32}[key]
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind, key=key, text=text if kind == "keyDown" else "",
                windowsVirtualKeyCode=code,
            )  # fmt: skip

    def picture(self, path: Path, **clip: float) -> None:
        """Write what is seen, or the part of the page at `x`, `y`, `width`, `height`, as PNG."""
        chosen = {"clip": clip | {"scale": 1}, "captureBeyondViewport": True} if clip else {}
        data = self.call("Page.captureScreenshot", format="png", **chosen)["data"]
        path.write_bytes(base64.b64decode(data))

    def printed(self, path: Path) -> None:
        """Write the page as it would be printed on A4, as PDF."""
        data = self.call(
            "Page.printToPDF",
            paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True, printBackground=True,
        )["data"]  # fmt: skip
        path.write_bytes(base64.b64decode(data))

    def _next(self) -> dict:
        while b"\0" not in self._heard:
            received = self._from.read1(1 << 20)
            if not received:
                raise RuntimeError("Chromium has gone")
            self._heard += received
        message, self._heard = self._heard.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event: dict) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.errors.append(json.dumps(told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.errors.append(told["entry"]["text"])
            case "Network.requestWillBeSent" if told.get("type") != "Document":
                url = told["request"]["url"]
                self.requests += [url] if not url.startswith("data:") else []


# The browser listens at descriptor 3 and answers at 4.
_START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)


@contextlib.contextmanager
def chromium() -> Iterator[Tab]:
    """Start Chromium, give a tab of it, and end it."""
    (its_in, our_out), (our_in, its_out) = os.pipe(), os.pipe()
    # Away from 3 and 4, so that neither is overwritten before it has been moved there.
    passed = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (its_in, its_out)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [sys.executable, "-c", _START, *map(str, passed), CHROMIUM, *_FLAGS]
        started = subprocess.Popen(
            [*command, f"--user-data-dir={profile}"],
            pass_fds=passed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (*passed, its_in, its_out):
            os.close(end)
        try:
            yield Tab(our_out, our_in)
        finally:
            os.close(our_out)
            started.terminate()
            started.wait(10)
