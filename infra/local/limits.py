"""The limits of AWS that MiniStack does not hold: sizes of what Lambda and API Gateway carry, and how long a gateway waits.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
"""

import asyncio
import json

from ministack.core.lambda_runtime import ProvidedWorker
from ministack.services import apigateway
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# What Lambda hands to a function and takes from it, as JSON: the escapes within a body count.
LAMBDA_BYTES = 6 * 1024 * 1024 + 100
HTTP_BYTES = 10 * 1024 * 1024
FRAME_BYTES = 32 * 1024
MESSAGE_BYTES = 128 * 1024
HTTP_SECONDS, SOCKET_SECONDS = 30, 29
# Smaller bodies cannot be over, even if each character is an escape of six.
SURELY_FITS = LAMBDA_BYTES // 8


def problem(status, message):
    return status, {"Content-Type": "application/json"}, json.dumps({"message": message}).encode()


def fits_lambda(event):
    body = event.get("body") if isinstance(event, dict) else None
    if not isinstance(body, str) or len(body) < SURELY_FITS:
        return True
    return len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()) <= LAMBDA_BYTES


async def within(seconds, work, too_late):
    """What the work answers, or another answer when it takes longer. It goes on then, as a function does on AWS."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    return task.result() if done else too_late


# A request that Lambda does not take: API Gateway answers it with 413.
invoke = ProvidedWorker.invoke


def invoke_within_limits(self, event, request_id, **options):
    if fits_lambda(event):
        return invoke(self, event, request_id, **options)
    refused = {"statusCode": 413, "headers": {"Content-Type": "application/json"}, "body": '{"message":"Request Too Long"}'}
    return {"status": "ok", "result": refused, "cold_start": False, "log": ""}


ProvidedWorker.invoke = invoke_within_limits

# An answer that Lambda does not carry is an error of the function, of which a client hears nothing but a 5xx.
build_handler_class = ProvidedWorker._build_handler_class


def build_limited_handler_class(self, generation, pending):
    handler = build_handler_class(self, generation, pending)

    class Limited(handler):
        def _read_body(self):
            body = super()._read_body()
            if len(body) <= LAMBDA_BYTES or not self.path.endswith("/response"):
                return body
            self.path = self.path.removesuffix("/response") + "/error"
            message = f"Response payload size exceeded maximum allowed payload size ({LAMBDA_BYTES} bytes)."
            return json.dumps({"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"}).encode()

    return Limited


ProvidedWorker._build_handler_class = build_limited_handler_class

# The gateway of the HTTP API.
invoke_integration = apigateway._invoke_lambda_proxy


async def invoke_integration_within_limits(integration, api_id, stage, path, method, headers, body, *arguments, **options):
    if len(body or b"") > HTTP_BYTES:
        return problem(413, "Request Entity Too Large")
    answer = invoke_integration(integration, api_id, stage, path, method, headers, body, *arguments, **options)
    return await within(HTTP_SECONDS, answer, problem(503, "Service Unavailable"))


apigateway._invoke_lambda_proxy = invoke_integration_within_limits

# The gateway of the WebSocket.
invoke_route, handle_connections = apigateway._invoke_ws_lambda, apigateway.handle_connections_api


async def invoke_route_within_limits(*arguments, **options):
    return await within(SOCKET_SECONDS, invoke_route(*arguments, **options), {"statusCode": 504})


async def handle_connections_within_limits(method, api_id, stage, connection_id, body, headers):
    if method == "POST" and len(body or b"") > MESSAGE_BYTES:
        status, answered, text = problem(413, "PayloadTooLargeException")
        return status, {**answered, "x-amzn-ErrorType": "PayloadTooLargeException"}, text
    return await handle_connections(method, api_id, stage, connection_id, body, headers)


apigateway._invoke_ws_lambda = invoke_route_within_limits
apigateway.handle_connections_api = handle_connections_within_limits


# Messages over their limit are refused by `ws_max_size`, a setting of the server. It knows no limit of frames.
def limited(handle):
    def handle_frame(self, frame):
        if len(frame.data) > FRAME_BYTES:
            self.conn.send_close(1009)
            self.handle_parser_exception()
        else:
            handle(self, frame)

    return handle_frame


for name in ["handle_text", "handle_bytes", "handle_cont"]:
    setattr(WebSocketsSansIOProtocol, name, limited(getattr(WebSocketsSansIOProtocol, name)))
