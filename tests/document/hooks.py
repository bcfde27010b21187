"""Values for the formats of the OpenAPI document that JSON Schema does not know, and rules between fields that it cannot say.

Schemathesis makes everything else from the document alone."""

import datetime
import os
import re
import uuid

import schemathesis
from hypothesis import strategies as st

ACCOUNT = os.environ["ACCOUNT"]
ROLE = os.environ.get("ROLE")
PROPERTY = re.compile(r"^property\.[\w.$]+(\[(eq|ne|gt|gte|lt|lte|contains|exists)\])?$")
ZONES = ["UTC", "Asia/Shanghai", "Europe/Moscow", "Asia/Kolkata", "America/New_York"]
NOW = datetime.datetime.now(datetime.timezone.utc)


def earlier(minutes):
    return NOW - datetime.timedelta(minutes=minutes)


def rfc3339(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


moments = st.integers(1, 40_000).map(earlier)
names = st.sampled_from(["campaignId", "groupId", "amount", "a.b", "$eventType", "$sessionId", "名前"])
paths = st.one_of(names, st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12))
literals = st.one_of(
    st.integers().map(str),
    st.sampled_from(["true", "false", "1.5"]),
    st.text(st.characters(categories=["L", "N", "P"], exclude_characters='"\\'), max_size=12).map('"{}"'.format),
)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


conditions = st.one_of(
    st.builds("{} {} {}".format, paths.map(quoted), st.sampled_from(["=", "!="]), st.one_of(literals, st.just("null"))),
    st.builds("{} {} {}".format, paths.map(quoted), st.sampled_from(["<", "<=", ">", ">="]), st.integers().map(str)),
    st.builds("{} in ({}, {})".format, paths.map(quoted), literals, literals),
    st.builds("{} exists".format, paths.map(quoted)),
    st.builds('{} contains "{}"'.format, paths.map(quoted), st.text(st.characters(categories=["L"]), min_size=1, max_size=5)),
)
filters = st.recursive(
    conditions,
    lambda more: st.one_of(
        st.builds("({} and {})".format, more, more), st.builds("({} or {})".format, more, more), more.map("not ({})".format)
    ),
    max_leaves=5,
)
inputs = st.one_of(
    st.sampled_from(["message_sent", "sent", "message_delivered", "delivery_rate", "sum(message_sent.amount)"]),
    st.builds("{}(message_sent.{})".format, st.sampled_from(["avg", "min", "max", "unique", "first", "last", "gain", "p95"]), paths.map(quoted)),
    st.builds("message_sent{{{}}}".format, conditions),
)
formulas = st.recursive(
    inputs,
    lambda more: st.builds("({} {} {})".format, more, st.sampled_from("+-*/"), st.one_of(more, st.integers(0, 1_000).map(str))),
    max_leaves=4,
)
for name, strategy in {
    "moment": st.one_of(moments.map(rfc3339), moments.map(lambda moment: str(int(moment.timestamp() * 1_000)))),
    "day-or-time": st.one_of(moments.map(rfc3339), moments.map(lambda moment: moment.strftime("%Y-%m-%d"))),
    "ip": st.one_of(st.ip_addresses().map(str), st.just("")),
    "account-id": st.just(ACCOUNT),
    "metric": st.sampled_from(["delivery_rate", "ctr", *os.environ["METRICS"].split(",")]),
    "asset": st.sampled_from(os.environ["ASSETS"].split(",")),
    "property-value": st.sampled_from(["true", "false"]),
    "period": st.one_of(
        st.sampled_from(["today", "yesterday", "wtd", "mtd", "qtd", "ytd"]),
        st.builds("{}{}".format, st.integers(1, 30), st.sampled_from(["h", "d", "w"])),
    ),
    "metric-id": st.from_regex(r"\A[a-z_][a-z0-9_.-]{0,20}\Z"),
    "formula": formulas,
    "filter": filters,
    "step": st.one_of(st.sampled_from(["message_sent", "sent", "message_read"]), st.builds("message_sent{{{}}}".format, conditions)),
    "duration-of-days": st.builds("{}{}".format, st.integers(1, 50), st.sampled_from("smhdw")),
    "path": paths,
    "path-list": st.lists(names, unique=True, min_size=1, max_size=4).map(",".join),
    "time-zone": st.sampled_from(ZONES),
    # Only the service can give one.
    "cursor": st.nothing(),
    "created-at": st.nothing(),
}.items():
    schemathesis.openapi.format(name, strategy)


def fix_window(parts):
    """Makes the time range valid: `period`, or `from` or `to`, of the last weeks."""
    if parts.get("period"):
        parts.pop("from", None)
        parts.pop("to", None)
    for name in ["from", "to"]:
        if isinstance(parts.get(name), (int, float)):
            parts[name] = int(earlier(parts[name] % 40_000).timestamp() * 1_000)
    if parts.get("from") is not None:
        parts.pop("to", None)
    # Schemathesis sometimes ignores the format.
    if "timezone" in parts and parts["timezone"] not in ZONES:
        parts["timezone"] = ZONES[0]
    # Short buckets of a long range are too many.
    if "interval" in parts and parts["interval"] not in ("auto", "day", "week", "month", "quarter", "year", "none"):
        parts["interval"] = "auto"


def fix_times(event):
    """Times are of the last weeks: neither too old nor ahead of the clock. An event with an id has one."""
    for name in ["timestamp", "sentAt"]:
        if isinstance(event.get(name), (int, float)):
            event[name] = int(earlier(event[name] % 40_000).timestamp() * 1_000)
    if event.get("eventId") is not None and event.get("timestamp") is None:
        event["timestamp"] = rfc3339(earlier(1))
    # To JSON Schema, 7.0 is an integer.
    if "accountId" in event:
        event["accountId"] = ACCOUNT
    for name in ["eventId", "sessionId", "userId"]:
        if isinstance(event.get(name), float):
            event[name] = int(event[name])


def fix_search(query):
    fix_window(query)
    # Only a search for rejected events takes `code`, and few other parameters.
    if query.get("status") == "rejected":
        for name in [name for name in query if name not in ("status", "code", "eventName", "from", "limit", "count")]:
            query.pop(name)
    else:
        query.pop("code", None)
    # JSON Schema cannot state the syntax of property names and operators.
    for name in [name for name in query if name.startswith("property.") and not PROPERTY.match(name)]:
        query["property.a[contains]"] = query.pop(name)


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.query, dict):
        fix_search(case.query)
    # A key stands for one body.
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    body = case.body
    if isinstance(body, dict):
        fix_window(body)
        fix_times(body)
        # A counter only adds up, a histogram is one aggregation of one property.
        for definition in [body, *(body.get("queries") or [])]:
            if isinstance(definition, dict) and "type" in definition:
                definition["type"] = "gauge"
        # What people begin with is not what ends it.
        retention = body.get("retention")
        if isinstance(retention, dict) and "first" in retention and retention["first"] == retention.get("leave"):
            retention["first"] = "message_read" if retention["first"] != "message_read" else "message_sent"
    events = body.get("events") if isinstance(body, dict) else body
    for event in events if isinstance(events, list) else []:
        if isinstance(event, dict):
            fix_times(event)


@schemathesis.check
def status_is_listed(ctx, response, case):
    """Every status is listed: `default` stands only for a defect of the service."""
    if case.method.upper() == case.operation.method.upper():
        listed = case.operation.definition.raw["responses"]
        assert str(response.status_code) in listed, f"{response.status_code} is not listed"


@schemathesis.check
def caller_is_judged_by_role(ctx, response, case):
    roles = case.operation.definition.raw.get("x-roles")
    if case.method.upper() != case.operation.method.upper():
        return
    if roles is None or ROLE in roles:
        assert response.status_code not in (401, 403), f"{ROLE or 'a caller without a token'} may call this"
    else:
        expected = 401 if ROLE is None else 403
        assert response.status_code == expected, f"{ROLE or 'a caller without a token'} may not call this"
