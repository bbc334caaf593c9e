"""PDFs, some of them made to do harm."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from functools import cache

from pypdf import PdfReader, PdfWriter


def pdf(*pages: str) -> bytes:
    """A PDF with a text on each page."""
    contents = [f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode() for text in pages]
    return document([_stream(content) for content in contents])


def document(contents: Sequence[bytes], resources: bytes = b"", more: Sequence[bytes] = ()) -> bytes:
    """A PDF with these streams as the contents of its pages, and `more` objects, the first of them with number 100."""
    objects: dict[int, bytes] = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    }
    kids: list[bytes] = []
    for number, content in enumerate(contents):
        page, stream = 10 + 2 * number, 11 + 2 * number
        kids.append(b"%d 0 R" % page)
        objects[page] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> %b >> >>" % (stream, resources)
        )
        objects[stream] = content
    objects[2] = b"<< /Type /Pages /Kids [%b] /Count %d >>" % (b" ".join(kids), len(kids))
    objects |= dict(enumerate(more, 100))
    return assembled(objects)


def assembled(objects: dict[int, bytes], trailer: bytes = b"") -> bytes:
    """The file of these objects, of which 1 is the catalogue."""
    out = b"%PDF-1.7\n"
    places: dict[int, int] = {}
    for number, body in sorted(objects.items()):
        places[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in places.items():
        out += b"%d 1\n%010d 00000 n \n" % (number, place)
    size = max(objects) + 1
    return out + b"trailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, table)


def _stream(data: bytes, fields: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(data), fields, data)


def encrypted(data: bytes, password: str) -> bytes:
    """A PDF behind a password."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@cache
def bomb(layers: int = 1) -> bytes:
    """A small PDF whose one page is 300 megabytes of text."""
    data = b"BT /F1 1 Tf (x) Tj ET " * (1 << 16)
    packed = zlib.compressobj(1)
    pieces = b"".join(packed.compress(data) for _ in range(200)) + packed.flush()
    for _ in range(layers - 1):
        pieces = zlib.compress(pieces, 9)
    filters = b"/Filter [%b]" % b" ".join([b"/FlateDecode"] * layers)
    return document([_stream(pieces, filters)])


def endless_tree() -> bytes:
    """A PDF whose tree of pages holds itself."""
    return assembled(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 1000000 >>",
            3: b"<< /Type /Pages /Parent 2 0 R /Kids [2 0 R 3 0 R] /Count 7 >>",
        }
    )


def endless_form() -> bytes:
    """A PDF whose page shows a form that shows itself, twice."""
    form = _stream(b"/X Do /X Do", b"/Type /XObject /Subtype /Form /Resources << /XObject << /X 100 0 R >> >>")
    return document([_stream(b"/X Do")], b"/XObject << /X 100 0 R >>", [form])


def endless_tables() -> bytes:
    """A PDF whose table of objects has itself in front of it."""
    data = pdf("loop")
    place = int(data.split(b"startxref\n")[1].split(b"\n")[0])
    return data.replace(b"/Root 1 0 R ", b"/Root 1 0 R /Prev %d " % place)


def deep() -> bytes:
    """A PDF with an array within an array, a hundred thousand deep."""
    return document([_stream(b"BT ET")], b"/X " + b"[" * 100_000 + b"]" * 100_000)
