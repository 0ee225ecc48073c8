#!/usr/bin/env python3
"""Hands each message of notty to a program: a bridge to what no profile can describe.

    deploy/bridge.py 9091 gammu-smsd-inject TEXT {phone} -unicode -text {text}

puts messages into the queue of a GSM modem, for a notty with `[gateway] url = "http://127.0.0.1:9091/"`. Every
bridge says "not taken" only if that is certain. An answer of doubt (502, 504, or none) is `unconfirmed`, and final.
"""
import json, subprocess, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Bridge(BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", -1  # connections stay open; an answer is one write

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        values = {"{phone}": f"+{message['phone']}", "{text}": message["text"]}
        command = [values.get(word, word) for word in sys.argv[2:]]
        try:
            ended = subprocess.run(command, timeout=8, stdin=subprocess.DEVNULL, stdout=sys.stderr)
            self.answer(200 if ended.returncode == 0 else 502)  # one that fails may have done its work before
        except OSError:
            self.answer(503)  # the program did not start: certainly not taken, so notty tries again
        except subprocess.TimeoutExpired:
            self.answer(504)

    def answer(self, status):
        body = b'{"code":0}' if status == 200 else b'{"code":1}'
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Bridge)
print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
