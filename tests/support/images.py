# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""For the tests of disk images: qemu-img, a guest that holds an image, and a server with faults."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from support import modules

MIB = 1024**2
TEMPORARY = re.compile(r"\..*\.[a-z0-9_]{8}\.tmp")


def qemu_img(*words: object) -> str:
    return subprocess.run(["qemu-img", *map(str, words)], capture_output=True, text=True, check=True, timeout=60).stdout


def qemu_io(path: object, command: str, format_: str = "qcow2") -> str:
    return subprocess.run(["qemu-io", "-f", format_, "-c", command, str(path)], capture_output=True, text=True, check=True, timeout=60).stdout


def info(path: object, format_: str = "qcow2") -> Dict[str, Any]:
    return json.loads(qemu_img("info", "-U", "-f", format_, "--output=json", path))


def temporaries(folder: Path) -> List[str]:
    return [name for name in os.listdir(folder) if TEMPORARY.fullmatch(name)]


def _locked(inode: int) -> bool:
    """Whether a qemu has all of its locks on a file. Asked of the kernel: whoever opens the file to try it is in qemu's way."""
    words = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any(found[1] == "OFDLCK" and found[5].endswith(f":{inode}") and int(found[7]) >= 200 for found in words)


@contextlib.contextmanager
def held(path: object, *options: str, name: str = "vt-holder", secret: Optional[str] = None) -> Iterator[subprocess.Popen]:
    """A guest that has an image open, without any CPU: only its locks are wanted. secret: the passphrase that has the id key."""
    argv = ["qemu-system-x86_64", "-name", f"guest={name},debug-threads=on", "-S", "-display", "none", "-monitor", "none", "-machine", "none"]
    if secret is not None:
        argv += ["-object", f"secret,id=key,data={secret.replace(',', ',,')}"]
    words = ["driver=qcow2", "node-name=d", "file.driver=file", f"file.filename={path}", *options]
    with subprocess.Popen([*argv, "-blockdev", ",".join(words)]) as process:
        try:
            deadline = time.monotonic() + 20
            while not _locked(os.stat(str(path)).st_ino):
                assert process.poll() is None and time.monotonic() < deadline, "qemu does not hold the image"
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def spawned(name: str, params: Dict[str, Any]) -> subprocess.Popen:
    """A run of its own, to be waited for or killed, alone or with its process group."""
    run = subprocess.Popen(
        [modules.TARGET_PYTHON, str(modules.RUNNER), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **modules.runner_environment()},
        start_new_session=True,
    )
    run.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": params}))
    run.stdin.close()
    return run


class Exchange(BaseHTTPRequestHandler):
    """One request. What it is answered with is a function of the test's."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        answer = self.server.answers.get(self.path.partition("?")[0])
        self.close_connection = True
        if answer is None:
            self.say(404)
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            answer(self)

    def say(self, status: int, headers: Optional[Dict[str, object]] = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": len(body), "Connection": "close", **(headers or {})}.items():
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        pass


Answer = Callable[[Exchange], None]


class Server(ThreadingHTTPServer):
    """answers: path → what is done with a request. seen: the requests, path and headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.answers: Dict[str, Answer] = {}
        self.seen: List[Tuple[str, Dict[str, str]]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{name}"

    def serve(self, name: str, answer: Answer) -> str:
        self.answers[name] = answer
        return self.url(name)

    def ranges(self) -> List[Optional[str]]:
        return [headers.get("Range") for _path, headers in self.seen]


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def whole(data: bytes, etag: Optional[str] = '"one"', cut: Optional[int] = None, slow: float = 0, resumes: bool = True) -> Answer:
    """A server as it should be: ranges, If-Range, an ETag. cut: it hangs up after so many bytes. slow: seconds between pieces of 64 KiB."""

    def answer(exchange: Exchange) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", exchange.headers.get("Range", ""))
        start = int(asked[1]) if asked and resumes and exchange.headers.get("If-Range") == etag else 0
        if start >= len(data):
            exchange.say(416, {"Content-Range": f"bytes */{len(data)}"})
            return
        rest = data[start:]
        headers = {"Content-Length": len(rest), "ETag": etag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        exchange.say(206 if start else 200, headers)
        rest = rest if cut is None else rest[:cut]
        for position in range(0, len(rest), 65536):
            exchange.wfile.write(rest[position : position + 65536])
            time.sleep(slow)

    return answer
