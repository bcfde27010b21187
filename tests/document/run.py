"""Tests the API against the OpenAPI document that the stack at API_URL serves, as ROLE with TOKEN, or without a token. An operation
fails on a 5xx, on an answer that the document does not list, on a refused valid request (as admin), and if the role may not call it
but can."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request
import xml.etree.ElementTree

CHECKS = [
    "not_a_server_error",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "status_is_listed",
    "caller_is_judged_by_role",
]

api, role, token = os.environ["API_URL"], os.environ.get("ROLE"), os.environ.get("TOKEN")


def ask(path, body=None):
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    with urllib.request.urlopen(urllib.request.Request(api + path, body, headers)) as answer:
        return answer.read().decode()


# Metrics of the account's own, which are changed and deleted.
metrics = [f"own_{number}" for number in range(40)]
if role == "admin":
    for name in metrics:
        ask("/api/metrics", json.dumps({"metricId": name, "name": name, "type": "gauge", "formula": "message_sent"}).encode())
    # Other callers are refused whatever they send.
    CHECKS.append("positive_data_acceptance")
assets = re.findall(r'assets/([^"]+)"', ask("/"))

with tempfile.TemporaryDirectory() as folder:
    report = pathlib.Path(folder, "report.xml")
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    command = [program, "--config-file", "schemathesis.toml", "run", f"{api}/api/openapi.json", "--url", api]
    command += ["--checks", ",".join(CHECKS), "--report", "junit", "--report-junit-path", report, "--no-color"]
    command += ["--phases", "coverage,fuzzing" if role == "admin" else "coverage", "--max-examples", "20"]
    command += ["--header", f"Authorization: Bearer {token}"] if token else []
    environment = {**os.environ, "METRICS": ",".join(metrics), "ASSETS": ",".join(assets)}
    ended = subprocess.run(command, check=False, env=environment).returncode
    cases = [case for case in xml.etree.ElementTree.parse(report).iter("testcase") if case.find("skipped") is None]

failed = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
print("caller:", role or "without a token", "- failed:", ", ".join(failed) or "none")
print("# pass", len(cases) - len(failed))
print("# fail", len(failed))
sys.exit(bool(failed) or ended)
