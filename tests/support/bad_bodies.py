"""200 requests with a body that nobody may take: each of these bodies sent to each of these paths."""

from itertools import product

PATHS = [
    "/start-job",
    "/start-job/add",
    "/v1/jobs",
    "/v1/jobs/batch",
    "/v1/job-types/add/jobs",
    "/v1/jobs/bulk/cancel",
    "/v1/webhooks/endpoints",
    "/v1/tickets",
]
DEEP = 100_000
BODIES: dict[str, bytes] = {
    "larger than any body may be": b'{"a":"' + b"x" * (5 << 20) + b'"}',
    "larger, and no JSON": b"x" * (5 << 20),
    "larger than any body may be, of spaces": b" " * (5 << 20) + b"{}",
    "100,000 lists in one another": b"[" * DEEP + b"]" * DEEP,
    "100,000 objects in one another": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "100,000 lists that are not closed": b"[" * DEEP,
    "100,000 objects in the input": b'{"type":"add","input":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "an integer of 100,000 digits": b'{"a":' + b"9" * DEEP + b"}",
    "a huge integer as priority": b'{"type":"add","input":{"a":1},"priority":' + b"9" * 400 + b"}",
    "a huge exponent": b'{"a":1e999999999}',
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "a number with a zero in front": b'{"a":007}',
    "bytes that are no UTF-8": b'{"a":"\xff\xfe"}',
    "UTF-8 of a surrogate": b'{"a":"\xed\xa0\x80"}',
    "UTF-8 that is too long": b'{"a":"\xc0\xaf"}',
    "half a surrogate, escaped": b'{"a":"\\ud800"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "NUL between the words": b'{"a":\x001}',
    "NUL in a name": b'{"a\\u0000":1}',
    "NUL in a type": b'{"type":"add\\u0000","input":{"a":1}}',
    "CRLF in a name": b'{"a\\r\\nX-Injected: 1":1}',
    "CRLF in a label": b'{"type":"add","input":{"a":1},"labels":{"a\\r\\nb":"c"}}',
    "cut off": b'{"type":"add","input":{"a":1',
}
CASES = list(product(PATHS, BODIES))
