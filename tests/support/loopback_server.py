"""A server on the loopback that misbehaves as told."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves `files` (path to bytes).

    moods : path to a list of moods, one per request, the last one for all further requests:
        "good", ("drop", n) breaks the connection after n bytes of the body, ("short", n) ends it
        properly after n bytes with a length that promises all, ("chunked", n) ends a body without
        length after n bytes, "stall" sends half and then nothing, "silent" never answers,
        "no-range" ignores ranges, "other-range" answers another range, "wrong" serves other bytes
        of the same size, "page" serves a web page, ("status", code), ("redirect", url), "long"
        sends more than it promised.
    requests : (path, Range header) of every request.
    """

    def __init__(self):
        self.files, self.moods, self.requests, self.tags = {}, {}, [], {}
        self.awake = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                server.requests.append((self.path, self.headers.get("Range")))
                moods = server.moods.get(self.path, ["good"])
                mood = moods.pop(0) if len(moods) > 1 else moods[0]
                self.close_connection = True
                server.answer(self, *(mood if isinstance(mood, tuple) else (mood,)))

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def answer(self, handler, mood, value=None):
        data = self.files.get(handler.path)
        if data is None or mood == "status":
            handler.send_response(value or 404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if mood == "redirect":
            handler.send_response(302)
            handler.send_header("Location", value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if mood == "silent":
            self.awake.wait(5)
            return
        if mood == "page":
            data = b"<!DOCTYPE html><title>Please log in</title>"
        if mood == "wrong":
            data = bytes(255 - byte for byte in data)
        start = 0
        asked = handler.headers.get("Range")
        tag = self.tags.get(handler.path)
        same = handler.headers.get("If-Range") in (None, tag)
        if asked and same and mood not in ("no-range", "page"):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                handler.send_response(416)
                handler.send_header("Content-Length", "0")
                handler.end_headers()
                return
            start = max(start - 7, 0) if mood == "other-range" else start
            handler.send_response(206)
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            handler.send_header("Content-Range", span)
        else:
            handler.send_response(200)
        if tag:
            handler.send_header("ETag", tag)
        body = data[start:]
        if mood != "chunked":
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if mood in ("drop", "short", "chunked"):
            handler.wfile.write(body[:value])
        elif mood == "stall":
            handler.wfile.write(body[: len(body) // 2])
            handler.wfile.flush()
            self.awake.wait(5)
        else:
            handler.wfile.write(body)

    def close(self):
        self.awake.set()
        self.http.shutdown()
        self.http.server_close()
