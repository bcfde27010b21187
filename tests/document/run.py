"""Makes requests of the OpenAPI document that the stack at API_URL serves, with the TOKEN if there is one, and counts the
operations that keep to it: no 5xx, no answer that the document does not know, nothing refused that it calls valid."""

import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "positive_data_acceptance",
    "unsupported_method",
    "allow_header_conformance",
]

PHASES = {"admin": "examples,coverage,fuzzing"}

with tempfile.TemporaryDirectory() as folder:
    report = pathlib.Path(folder, "report.xml")
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    token = os.environ.get("TOKEN")
    command = [program, "--config-file", "schemathesis.toml", "run", f"{os.environ['API_URL']}/api/openapi.json"]
    command += ["--url", os.environ["API_URL"], "--checks", ",".join(CHECKS), "--report", "junit", "--report-junit-path", report, "--no-color"]
    command += ["--header", f"Authorization: Bearer {token}"] if token else []
    # Who may do less is refused whatever the request is.
    command += ["--phases", PHASES.get(os.environ.get("ROLE"), "coverage"), "--max-examples", "20"]
    subprocess.run(command, check=False)
    cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))

failed = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
print("caller:", os.environ.get("ROLE", "without a token"), "- failed:", ", ".join(failed) or "none")
print("# pass", len(cases) - len(failed))
print("# fail", len(failed))
sys.exit(bool(failed))
