"""Starts MiniStack, the AWS emulator, with what a local run needs changed in it. See docs/decisions.

Usage: emulator.py FUNCTION_LOG (everything else is in its own environment variables)
"""

import asyncio
import gc
import os
import resource
import socketserver
import sys
import time
from contextvars import ContextVar
from functools import lru_cache
from types import SimpleNamespace

import limits
import uvicorn
from ministack import app
from ministack.core.lambda_runtime import ProvidedWorker, Worker
from ministack.services import apigateway, dynamodb, lambda_svc, sqs

# Its state holds the functions' settings, a password among them: for the owner's eyes only.
os.umask(0o077)

# Each answer would otherwise wait 40 ms for an acknowledgement: from 96 ms to 1.5 ms a warm call.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True

# Log lines come with the answer or not at all: 50 ms a call saved when a function has nothing to say.
drain = Worker._drain_stderr_bounded
Worker._drain_stderr_bounded = lambda self, first_line_wait=0.0: drain(self, first_line_wait, 0.0)

# What functions print, as it comes.
function_log = open(sys.argv.pop(1), "ab", buffering=0)


class Tee:
    def __init__(self, name, stream):
        self.prefix, self.stream, self.close = name.encode() + b" ", stream, stream.close

    def readline(self):
        line = self.stream.readline()
        if line:
            function_log.write(self.prefix + line)
        return line


pump = ProvidedWorker._pump_output
ProvidedWorker._pump_output = lambda self, stream, lines: pump(self, Tee(self.func_name, stream), lines)

# As Lambda's poller does, and MiniStack's doesn't: batches up to the mapping's BatchSize and 6 MB, gathered for its
# MaximumBatchingWindowInSeconds. (MiniStack: at most 10 messages, at once.)
PAYLOAD_LIMIT, RECORD_OVERHEAD = 6_000_000, 1_000


def gather(queue_url, batch_size):
    with sqs._queues_lock:
        queue = sqs._get_q(queue_url)
        arn = queue["attributes"]["QueueArn"]
        mappings = (mapping for _, _, mapping in lambda_svc._iter_all_esms() if mapping["EventSourceArn"] == arn)
        window = int(next(mappings, {}).get("MaximumBatchingWindowInSeconds") or 0)
        visibility = int(queue["attributes"].get("VisibilityTimeout", "30"))
        sqs._expire_retained(queue)
        sqs._dlq_sweep(queue)
        if queue["is_fifo"]:
            return gather_group(queue, int(batch_size), visibility)
        now, count, size, oldest = time.time(), 0, 0, None
        for message in queue["messages"]:
            sqs._ensure_msg_fields(message)
            if message["visible_at"] > now:
                continue
            size += len(message["body"]) + RECORD_OVERHEAD
            if count == int(batch_size) or (count and size > PAYLOAD_LIMIT):
                oldest = 0  # full
                break
            count += 1
            oldest = message["visible_at"] if oldest is None else min(oldest, message["visible_at"])
        if oldest is None or now - oldest < window:
            return []
        return sqs._collect_msgs(queue, count, visibility)


sqs._receive_messages_for_esm = gather


# As Lambda does with a FIFO queue, and MiniStack doesn't: several batches at once, as long as no two hold messages of the same
# group. Here each batch is of one group.
def gather_group(queue, batch_size, visibility):
    now, groups = time.time(), {}
    for message in queue["messages"]:
        sqs._ensure_msg_fields(message)
        groups.setdefault(message["group_id"], []).append(message)
    for messages in groups.values():
        if all(message["visible_at"] <= now for message in messages):
            return sqs._collect_msgs({"is_fifo": False, "messages": messages}, batch_size, visibility)
    return []


# A message that has to wait for its window would make the next one, of another queue, wait 50 ms.
lambda_svc._ESM_IDLE_WAKE_GAP_SECONDS = 0.005

# Conditions are parsed once, not for each item.
dynamodb._tokenize = lru_cache(dynamodb._tokenize)
dynamodb._condition_syntax_error = lru_cache(dynamodb._condition_syntax_error)

# Each socket would otherwise wake twice a second to see whether it has ended, and have a task made for each of its frames:
# half of what frames to a thousand sockets take.
outbox = ContextVar("outbox", default=None)


def make_outbox():
    outbox.set(asyncio.Queue())
    return outbox.get()


async def wait_for(frame, timeout):
    async with asyncio.timeout(60):
        return await frame


apigateway.asyncio = SimpleNamespace(**{**vars(asyncio), "Queue": make_outbox, "wait_for": wait_for})

# As API Gateway does, and MiniStack doesn't: the subprotocol that $connect answers with is told to the client.
chosen = ContextVar("chosen", default=None)
invoke, handle = apigateway._invoke_ws_lambda, apigateway.handle_websocket


async def invoke_and_note(*arguments, **options):
    answer = await invoke(*arguments, **options)
    headers = {name.lower(): value for name, value in ((answer or {}).get("headers") or {}).items()}
    chosen.set(headers.get("sec-websocket-protocol"))
    return answer


async def handle_socket(scope, receive, send, *arguments, **options):
    async def answer(message):
        if message["type"] == "websocket.accept" and chosen.get():
            message = {**message, "subprotocol": chosen.get()}
        await send(message)

    # Nobody waits for frames to a socket that has ended.
    async def hear():
        message = await receive()
        if message["type"] == "websocket.disconnect" and outbox.get():
            outbox.get().put_nowait(None)
        return message

    await handle(scope, hear, answer, *arguments, **options)


apigateway._invoke_ws_lambda, apigateway.handle_websocket = invoke_and_note, handle_socket

concurrency = lambda_svc._sqs_esm_concurrency
lambda_svc._sqs_esm_concurrency = lambda esm, function, config, queue=None: concurrency(esm, function, config, None)

# A thread that wants to go on waits for another's turn to end, 5 ms by default; and every full collection of all that is held
# stops everything for 100 ms and more, every ten seconds by default.
sys.setswitchinterval(0.0005)
gc.set_threshold(10_000, 100, 1_000)

# Thousands of sockets.
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

# The same application behind a quicker server than MiniStack's own: half the time for each frame to a socket. Like API Gateway,
# it neither compresses frames nor asks whether a client is still there.
uvicorn.run(
    app.app,
    host=os.environ["BIND_HOST"],
    port=int(os.environ["GATEWAY_PORT"]),
    loop="uvloop",
    http="httptools",
    log_level="warning",
    timeout_keep_alive=75,
    timeout_graceful_shutdown=3,
    ws="websockets-sansio",
    ws_max_size=limits.MESSAGE_BYTES,
    ws_per_message_deflate=False,
    ws_ping_interval=None,
    server_header=False,
    date_header=False,
)
