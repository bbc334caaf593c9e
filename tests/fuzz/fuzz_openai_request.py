"""Bytes as a request of Chat Completions: a request that can be written again, or a `GatewayError`."""

import sys

import atheris

with atheris.instrument_imports(include=["trunkline.dialects", "trunkline.core"]):
    from trunkline.core.check import Limits, check
    from trunkline.dialects import openai
    from trunkline.dialects.openai.request import take_stream
    from trunkline.dialects.wire import Object, dumps, loads
    from trunkline.errors import GatewayError


def one(data: bytes) -> None:
    """Try one input."""
    try:
        value = loads(data)
        if type(value) is not dict:
            return
        wire = Object(value)
        take_stream(wire)
        request = openai.decode_request(wire)
        check(request, Limits())
        dumps(openai.encode_request(request))
    except GatewayError:
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
