"""Entries as files: JSON lines, CSV, Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from google.protobuf import json_format

from trunkline.errors import unsupported
from trunkline.usage.columns import COLUMNS
from trunkline.v1 import usage_pb2
from trunkline.v1.ledger_pb2 import LedgerEntry
from trunkline.v1.usage_pb2 import ExportFormat

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula: owasp.org/www-community/attacks/CSV_Injection."""

_GROUP: Final = 50_000
"""Rows of a row group of Parquet: kept in memory until it is full."""


class Writer(Protocol):
    """Writes a file. May block for some milliseconds."""

    def write(self, entries: Sequence[LedgerEntry]) -> bytes:
        """What entries add to the file; some may be kept for later."""
        ...

    def end(self) -> bytes:
        """What is left of the file. Called once, last."""
        ...


def writer_of(form: ExportFormat.ValueType) -> Writer:
    """The writer of a format. Raises `GatewayError` (UNSUPPORTED) where its package is not installed."""
    match form:
        case usage_pb2.EXPORT_FORMAT_CSV:
            return _Csv()
        case usage_pb2.EXPORT_FORMAT_PARQUET:
            return _Parquet()
        case usage_pb2.EXPORT_FORMAT_JSON_LINES | usage_pb2.EXPORT_FORMAT_UNSPECIFIED:
            return _JsonLines()
    raise unsupported(f"The format {form} is none that there is.", "format")


class _JsonLines:
    def write(self, entries: Sequence[LedgerEntry]) -> bytes:
        lines = [json_format.MessageToJson(entry, indent=None, ensure_ascii=False) for entry in entries]
        return "".join(f"{line}\n" for line in lines).encode()

    def end(self) -> bytes:
        return b""


class _Csv:
    """As RFC 4180 has it: fields in quotes where they need them, lines that end with CR and LF."""

    def __init__(self) -> None:
        self._text = io.StringIO(newline="")
        self._csv = csv.writer(self._text)
        self._csv.writerow(COLUMNS)

    def write(self, entries: Sequence[LedgerEntry]) -> bytes:
        for entry in entries:
            self._csv.writerow([_cell(read(entry)) for _, read in COLUMNS.values()])
        return self._taken()

    def end(self) -> bytes:
        return self._taken()

    def _taken(self) -> bytes:
        data = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return data


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
        case str() if value.startswith(_FORMULA):
            return f"'{value}"
    return str(value)


class _Parquet:
    def __init__(self) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ModuleNotFoundError:
            raise unsupported("Parquet needs a package: `pip install 'trunkline[parquet]'`.", "format") from None
        types: Mapping[str, Any] = {
            "text": pa.string(),
            "integer": pa.int64(),
            "flag": pa.bool_(),
            "time": pa.timestamp("us", tz="UTC"),
        }
        self._schema = pa.schema([(name, types[kind]) for name, (kind, _) in COLUMNS.items()])
        self._batch = pa.RecordBatch
        self._sink = _Sink()
        self._parquet = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._entries: list[LedgerEntry] = []

    def write(self, entries: Sequence[LedgerEntry]) -> bytes:
        self._entries += entries
        if len(self._entries) >= _GROUP:
            self._flush()
        return self._sink.take()

    def end(self) -> bytes:
        if self._entries:
            self._flush()
        self._parquet.close()
        return self._sink.take()

    def _flush(self) -> None:
        columns = {name: [read(entry) for entry in self._entries] for name, (_, read) in COLUMNS.items()}
        self._parquet.write_batch(self._batch.from_pydict(columns, schema=self._schema))
        self._entries.clear()


class _Sink(io.RawIOBase):
    """A file that is taken away as it is written: it only knows how long it is."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._length

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._length += len(part)
        return len(part)

    def take(self) -> bytes:
        """What was written since the last time."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data
