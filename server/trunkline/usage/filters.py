"""Which entries a question is about, as conditions on columns and on entries."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, false

from trunkline.errors import invalid_request
from trunkline.ledger.rows import cut_tag, tags_of
from trunkline.store.tables import LEDGER_ENTRIES
from trunkline.usage.view import View
from trunkline.v1.ledger_pb2 import LedgerEntry
from trunkline.v1.usage_pb2 import UsageFilter

_FIELDS: Final = {
    "key_ids": "key_id",
    "user_ids": "user_id",
    "team_ids": "team_id",
    "organization_ids": "organization_id",
    "models": "model",
    "served_models": "served_model",
    "providers": "provider",
    "surfaces": "surface",
    "operations": "operation",
    "outcomes": "outcome",
}
"""The fields of `UsageFilter` that are columns."""

_MOST: Final = 500
"""Values of one field."""


@dataclass(frozen=True, slots=True)
class Filter:
    """The values that columns may have, of which each entry must have one, and its tags and metadata."""

    columns: Mapping[str, Collection[str]]
    tags: frozenset[str] = frozenset()
    metadata: Mapping[str, str] | None = None

    def conditions(self, table: Table) -> list[ColumnElement[Any]]:
        """The conditions on the columns of `table`."""
        found: list[ColumnElement[Any]] = []
        for name, values in self.columns.items():
            # One value is an equation, which any index can serve.
            column = table.c[name]
            match sorted(values):
                case []:
                    found.append(false())
                case [one]:
                    found.append(column == one)
                case more:
                    found.append(column.in_(more))
        return found

    @property
    def by_columns(self) -> bool:
        """Whether columns alone tell which entries are meant."""
        return not self.tags and not self.metadata

    def takes(self, entry: LedgerEntry) -> bool:
        """Whether an entry that has the columns has the tags and the metadata, too."""
        if self.tags and self.tags.isdisjoint(tags_of(entry)):
            return False
        return all(entry.metadata.get(key) == value for key, value in (self.metadata or {}).items())


def filter_of(asked: UsageFilter, view: View) -> Filter:
    """The filter that was asked for, within what may be seen. Raises `GatewayError` (INVALID_REQUEST)."""
    columns: dict[str, Collection[str]] = {}
    for field, column in _FIELDS.items():
        values: Collection[str] = getattr(asked, field)
        _check(values, field)
        if values:
            # As they are stored: cut to size.
            size = getattr(LEDGER_ENTRIES.c[column].type, "length", None)
            columns[column] = frozenset(value[:size] for value in values)
    for column, only in view.items():
        columns[column] = frozenset({only}) if only in columns.get(column, {only}) else frozenset()
    _check(asked.tags, "tags")
    _check(asked.metadata, "metadata")
    return Filter(columns, frozenset(map(cut_tag, asked.tags)), dict(asked.metadata))


def _check(values: Collection[str], field: str) -> None:
    if len(values) > _MOST:
        raise invalid_request(f"`filter.{field}` has more than {_MOST} values.", f"filter.{field}")
    if any("\0" in value for value in values):
        raise invalid_request(f"`filter.{field}` holds a zero byte.", f"filter.{field}")
