"""What Schemathesis is told about this server that OpenAPI can't say.

MessagePack is written and read here. Questions that wait by their nature (`minVersion`, `wait`) are not
made to wait long; and the one 503 that is an answer (rule H3) is told from those that are failures.
"""

import msgpack
import schemathesis

# A version that no graph of the run reaches: asked for, it is two seconds and a 503 (rule H3).
UNREACHED = 1_000_000
# Milliseconds that a consumer may ask to wait here.
WAIT_MS_MAX = 100


@schemathesis.serializer("application/msgpack")
def to_msgpack(ctx, value):
    try:
        return value if isinstance(value, bytes) else msgpack.packb(value)
    except (OverflowError, ValueError):
        # MessagePack can't say this integer: the one byte that it never uses is sent instead.
        return b"\xc1"


@schemathesis.deserializer("application/msgpack")
def from_msgpack(ctx, response):
    return msgpack.unpackb(response.content)


def number(value):
    try:
        return int(str(value))
    except ValueError:
        return 0


@schemathesis.hook
def filter_case(ctx, case):
    query = case.query or {}
    return number(query.get("minVersion", 0)) < UNREACHED and number(query.get("wait", 0)) <= WAIT_MS_MAX


@schemathesis.check
def no_failure_but_waiting(ctx, response, case):
    """Any 5xx is a failure, but the 503 of a version that is not reached."""
    if response.status_code < 500:
        return
    if response.status_code == 503 and response.json().get("code") == "VERSION_NOT_REACHED":
        return
    raise AssertionError(f"{response.status_code}: {response.text[:500]}")
