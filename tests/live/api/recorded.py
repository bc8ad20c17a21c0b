#!/usr/bin/env python3
"""Promise: a program written for the existing API works unchanged. Sends its recorded requests (recorded.jsonl) again; each answer must
have the status and exactly the members and types that such a program reads.

A shape: text, count, number, share (0 to 1), boolean, time, uuid; ["all", shape], ["one of", value…]; an object of shapes, in which "*" is
any member, "name?" an optional one, and "...": "anything" allows more; any other value stands for itself. "keep" names a member of the
answer for $NAME in later requests, "holds" a text that the answer must contain.
"""

import datetime
import json
import pathlib
import uuid

from client import Client, expect

FIRST = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)


def is_time(value):
    """Whether programs can parse it as a time: with Python's fromisoformat, which accepts Z only since 3.11."""
    moment = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return moment.tzinfo is not None and moment > FIRST


SIMPLE = {
    "text": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "count": lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0,
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "share": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v <= 1,
    "time": lambda v: isinstance(v, str) and is_time(v),
    "uuid": lambda v: isinstance(v, str) and str(uuid.UUID(v)) == v,
    "anything": lambda v: True,
}


def fits(value, shape, where):
    """Fails unless the value has the shape."""
    if isinstance(shape, dict):
        expect(isinstance(value, dict), f"{where} is {value!r}, not an object")
        if "*" in shape:
            for name, member in value.items():
                fits(member, shape["*"], f"{where}.{name}")
            return
        known = {name.rstrip("?"): member for name, member in shape.items() if name != "..."}
        lacking = {name for name in shape if name != "..." and not name.endswith("?")} - set(value)
        expect(not lacking, f"{where} lacks {sorted(lacking)}")
        expect("..." in shape or set(value) <= set(known), f"{where} also has: {sorted(set(value) - set(known))}")
        for name in set(value) & set(known):
            fits(value[name], known[name], f"{where}.{name}")
    elif isinstance(shape, list) and shape[0] == "all":
        expect(isinstance(value, list), f"{where} is {value!r}, not a list")
        for number, member in enumerate(value):
            fits(member, shape[1], f"{where}[{number}]")
    elif isinstance(shape, list):
        expect(value in shape[1:], f"{where} is {value!r}, none of {shape[1:]}")
    elif isinstance(shape, str):
        expect(SIMPLE[shape](value), f"{where} is {value!r}, not {shape}")
    else:
        expect(value == shape and type(value) is type(shape), f"{where} is {value!r}, not {shape!r}")


def put(text, kept):
    """Returns the text with its $NAMEs replaced."""
    for name, value in kept.items():
        text = text.replace(f"${name}", value)
    return text


def main():
    client, kept, count = Client(f"recorded-{uuid.uuid4().hex[:8]}", ("127.0.0.1", 8003)), {}, 0
    for line in (pathlib.Path(__file__).parent / "recorded.jsonl").read_text(encoding="utf-8").splitlines():
        request = json.loads(line)
        answer = client.call(request["method"], put(request["path"], kept), request.get("body"))
        expect(answer.status == request["status"], f"{request['name']}: {answer}")
        said = answer.json()
        if "shape" in request:
            fits(said, request["shape"], request["name"])
        for wanted in request.get("holds", []):
            expect(put(wanted, kept) in json.dumps(said), f"{request['name']}: {wanted} is not in {said}")
        for name, member in request.get("keep", {}).items():
            kept[name] = said[member]
        count += 1
    print(f"{count} recorded requests, each answered in its shape")


if __name__ == "__main__":
    main()
