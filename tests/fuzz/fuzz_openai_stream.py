"""Bytes as a stream of Chat Completions, cut where the first byte says: legal events, or a `GatewayError`."""

import sys

import atheris

with atheris.instrument_imports(include=["trunkline.dialects", "trunkline.core"]):
    from trunkline.core.fold import Fold
    from trunkline.core.grammar import Grammar
    from trunkline.dialects import openai, sse
    from trunkline.errors import GatewayError


def one(data: bytes) -> None:
    """Try one input."""
    size = 1 + data[0] if data else 1
    reader, decoder, grammar, fold = sse.Reader(), openai.StreamDecoder(), Grammar(), Fold()
    encoder = openai.StreamEncoder(include_usage=True)
    try:
        frames = [frame for at in range(1, len(data), size) for frame in reader.feed(data[at : at + size])]
        events = [event for frame in [*frames, *reader.end()] for event in decoder.feed(frame.data)]
        for event in [*events, *decoder.end()]:
            grammar.feed(event)
            fold.feed(event)
            encoder.feed(event)
        grammar.end()
        encoder.end()
        openai.encode_response(fold.finish())
    except GatewayError:
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
