"""The HTTP client of the models in this directory."""

import http.client
import json
from urllib.parse import urlsplit


class Server:
    def __init__(self, url):
        self.url = url
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)

    def ask(self, method, path, body=None, headers=None):
        """Status, headers and what the body says."""
        body = None if body is None else json.dumps(body)
        self.connection.request(method, path, body, {"content-type": "application/json", **(headers or {})})
        answer = self.connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read() or "null")
