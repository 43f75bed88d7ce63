"""The little of Kubernetes' API that tests/tools/kubelet and kubernetes-live speak, with nothing but the standard library."""
import json
import ssl
import urllib.error
import urllib.request


class Cluster:
    def __init__(self, server, token, authority):
        self.server, self.token = server, token
        self.tls = ssl.create_default_context(cafile=authority)

    def open(self, method, path, body=None, kind="application/json", timeout=60):
        request = urllib.request.Request(self.server + path, method=method, data=None if body is None else json.dumps(body).encode())
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", kind)
        return urllib.request.urlopen(request, context=self.tls, timeout=timeout)

    def ask(self, method, path, body=None, kind="application/json"):
        """The answer and its status; what is not there and what is refused is an answer, too."""
        try:
            with self.open(method, path, body, kind) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def get(self, path):
        status, body = self.ask("GET", path)
        return body if status == 200 else None

    def watch(self, path, version=None):
        """Every change from the given version on, in order and none left out: (type, object)."""
        join = "&" if "?" in path else "?"
        while True:
            if version is None:
                listed = self.get(path)
                version = listed["metadata"]["resourceVersion"]
                for item in listed["items"]:
                    yield "ADDED", item
            with self.open("GET", f"{path}{join}watch=1&allowWatchBookmarks=true&resourceVersion={version}", timeout=3600) as lines:
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        version = None
                        break
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["type"], event["object"]
