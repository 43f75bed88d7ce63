"""A change sent through topic and queue into the trail: what shows that a deployment into a local AWS server works."""
import json
import os
import subprocess
import tempfile

import boto3

REGION = "eu-central-1"


def environment(endpoint):
    return {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t"}


def client(endpoint, service):
    return boto3.client(service, endpoint_url=endpoint, region_name=REGION, aws_access_key_id="t", aws_secret_access_key="t")


def change_arrives(endpoint, binary, topic, queue_url, dead_url):
    """Publishes one change, lets a worker take it, asks for it; the doctor must be content with the way there."""
    event = {"eventId": "e1", "tableName": "users", "operation": "insert", "recordId": "u1", "after": {"id": "u1"}, "by": "deploy"}
    fifo = {"MessageGroupId": "u1", "MessageDeduplicationId": "e1"} if topic.endswith(".fifo") else {}
    client(endpoint, "sns").publish(TopicArn=topic, Message=json.dumps(event), **fifo)
    with tempfile.TemporaryDirectory() as folder:
        def run(*args):
            command = [binary, *args, "--sqlite-path", f"{folder}/trail.db"]
            return subprocess.run(command, env={**os.environ, **environment(endpoint)}, check=True, timeout=120, stdout=subprocess.PIPE, text=True).stdout

        queues = ["--queue-url", queue_url, "--dlq-url", dead_url]
        run("worker", *queues, "--listen", "127.0.0.1:0", "--exit-when-idle", "2s")
        history = json.loads(run("history", "users", "u1", "--json"))["items"]
        assert [item["id"] for item in history] == ["e1"], history
        findings = json.loads(run("doctor", *queues, "--topic", topic, "--json"))
        failures = [finding for finding in findings["findings"] if finding["level"] not in ("ok", "warning")]
        assert findings["healthy"] and not failures, findings
