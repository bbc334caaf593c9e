"""Any bytes as a provider's stream: events in legal order that fold and can be told to a client, or an error.

Run it with atheris installed: `python tests/fuzz/fuzz_stream.py CORPUS -max_total_time=300`. An empty corpus is filled
with the recorded streams first. The first byte says how large the pieces are that the rest arrives in.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["trunkline.dialects", "trunkline.core"]):
    from trunkline.core.fold import Fold
    from trunkline.core.grammar import Grammar
    from trunkline.dialects import openai, sse
    from trunkline.dialects.wire import dumps, loads
    from trunkline.errors import GatewayError


def run(data: bytes) -> None:
    """One stream."""
    size, stream = (data[0] if data else 0) + 1, data[1:]
    reader, decoder, grammar, fold = sse.Reader(), openai.StreamDecoder(), Grammar(), Fold()
    encoder = openai.StreamEncoder(include_usage=True)
    try:
        frames = [frame for at in range(0, len(stream), size) for frame in reader.feed(stream[at : at + size])]
        for frame in [*frames, *reader.end(), None]:
            events = decoder.end() if frame is None else decoder.feed(frame.data)
            for event in events:
                grammar.feed(event)
                fold.feed(event)
                for chunk in encoder.feed(event):
                    loads(chunk)
        grammar.end()
    except GatewayError:
        return
    for chunk in encoder.end():
        loads(chunk)
    dumps(openai.encode_response(fold.finish()))


def main() -> None:
    """Seed the corpus, and fuzz."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from wire.recordings import chats

    corpus = Path(next((word for word in sys.argv[1:] if not word.startswith("-")), "corpus"))
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for number, one in enumerate(chats()):
            if one.is_stream:
                (corpus / f"seed-{number}").write_bytes(b"\xff" + one.body[:3000])
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
