"""JSON as the dialects read and write it: what a reader does not take is kept, and written back."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from typing import Any, AnyStr, Final, NoReturn, TypeAlias

import msgspec

from trunkline.dialects.shape import Shape, Shaped
from trunkline.errors import GatewayError, invalid_request

Json: TypeAlias = Any
"""A JSON value as Python's own types, where a `msgspec.Raw` stands for a value that is text already."""

_DEPTH = 256
"""The deepest nesting that is read."""

_SHORT = 2 * _DEPTH
"""The most characters of a text that cannot be deeper."""
_LONG = 64 * 1024

_MOST_NUMBER = sys.float_info.max
"""The greatest number that a double holds; an integer can be greater."""

_MALFORMED: Final = "JSON is malformed: "
"""How msgspec begins what it has to say of most texts."""

_SURROGATES = re.compile("[\ud800-\udfff]")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_validate = msgspec.json.Decoder(msgspec.Raw).decode
_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_BRACE: Final = ord("{")
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def loads(text: bytes | str | msgspec.Raw) -> Json:
    """The JSON value in `text`. Raises `GatewayError` (INVALID_REQUEST) where it holds none."""
    try:
        value = _decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        value = _lenient(text, error)
    except RecursionError:
        raise _too_deep() from None
    # Refused here, so that nothing which walks the value later can run out of stack.
    if len(text) > _SHORT and _may_be_deeper(text) and _is_deeper(value, _DEPTH):
        raise _too_deep()
    return value


def loads_but(text: bytes | msgspec.Raw, names: Collection[str]) -> Json:
    """As `loads`; of an object, the arrays and objects at `names` stay text, a `msgspec.Raw` each, whose strings need
    not be UTF-8."""
    try:
        found = _split(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return loads(text)
    return {key: one if key in names and _is_nested(one) else loads(one) for key, one in found.items()}


def opened(value: Json) -> Json:
    """A value that may be text still, as Python's own types."""
    return loads(value) if type(value) is msgspec.Raw else value


def _is_nested(text: msgspec.Raw) -> bool:
    return memoryview(text)[0] in b"[{"


def _is_object(text: msgspec.Raw) -> bool:
    return memoryview(text)[0] == _BRACE


def object_as_text(text: msgspec.Raw) -> str | None:
    """The text of a JSON object, as it is; None where it is none, or may be one that `loads` does not read."""
    try:
        told = str(text, "utf-8")
    except UnicodeDecodeError:
        return None
    if not told.startswith("{") or (len(told) > _SHORT and _may_be_deeper(told)):
        return None
    return told


def _may_be_deeper(text: bytes | str | msgspec.Raw) -> bool:
    """A guess that is never wrong when it says no. Counting costs less than looking, but in a long text."""
    size = len(text)
    if size > _LONG:
        return True
    # Whatever is open in the first half was opened there; whatever is open in the second is closed there.
    half = size // 2
    if isinstance(text, msgspec.Raw):
        text = bytes(text)
    if isinstance(text, bytes):
        opened, closed = text[:half], text[half:]
        return max(_count(opened, b"{", b"[", b""), _count(closed, b"}", b"]", b"")) > _DEPTH
    begun, ended = text[:half], text[half:]
    return max(_count(begun, "{", "[", ""), _count(ended, "}", "]", "")) > _DEPTH


def _count(text: AnyStr, one: AnyStr, other: AnyStr, nothing: AnyStr) -> int:
    """How often the two characters occur. Before Python 3.13 this is four times as fast as `count`."""
    return 2 * len(text) - len(text.replace(one, nothing)) - len(text.replace(other, nothing))


def _is_deeper(value: Json, most: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(most):
        level = [
            item
            for node in level
            for item in (node.values() if type(node) is dict else node)
            if type(item) is dict or type(item) is list
        ]
        if not level:
            return False
    return bool(level)


def _too_deep() -> GatewayError:
    return invalid_request(f"The JSON is nested deeper than {_DEPTH} levels.")


def _lenient(text: bytes | str | msgspec.Raw, error: Exception) -> Json:
    """Read what the strict reader refuses and other programs do write: lone surrogates."""
    if isinstance(text, msgspec.Raw):
        text = bytes(text)
    try:
        return _well_formed(json.loads(text, parse_constant=_refuse_constant, parse_float=_finite))
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise invalid_request(f"The JSON cannot be read: {str(error).removeprefix(_MALFORMED)}.") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"`{name}` is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _well_formed(value: Json) -> Json:
    """`value` with every lone surrogate replaced by U+FFFD, as UTF-8 has no form for it."""
    match value:
        case str():
            return _SURROGATES.sub("\ufffd", value)
        case dict():
            return {_well_formed(key): _well_formed(item) for key, item in value.items()}
        case list():
            return [_well_formed(item) for item in value]
        case _:
            return value


def dumps(value: Json) -> bytes:
    """`value` as compact JSON in UTF-8."""
    return _encode(value)


def text_of(value: Json) -> str:
    """`value` as compact JSON text."""
    return _encode(value).decode()


def raw(text: str, path: str, *values: int) -> msgspec.Raw:
    """JSON text from a message, to be written as it is. Raises `GatewayError` where it is no JSON.

    The `values` are put into the `path` where it is needed, as logging does.
    """
    try:
        _validate(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        if values:
            path %= values
        raise invalid_request(f"`{path}` must be the text of a JSON value: {error}.", path) from None
    return msgspec.Raw(text.encode())


def keys_of(text: str) -> list[str]:
    """The keys of the JSON object in `text`; none where it holds something else."""
    value = loads(text)
    return list(value) if isinstance(value, dict) else []


def own_keys(extras: Mapping[str, str], dialect: str) -> list[str]:
    """The keys that a dialect keeps in `extras`."""
    text = extras.get(dialect)
    return [] if text is None else keys_of(text)


def restore(wire: dict[str, Json], extras: Mapping[str, str], dialect: str) -> None:
    """Merge into `wire` what its dialect once read and could not place. What `wire` holds already stays."""
    text = extras.get(dialect)
    if text is None:
        return
    kept = loads(text)
    if not isinstance(kept, dict):
        raise invalid_request(f"`extras` of `{dialect}` must be the text of a JSON object.", "extras")
    _merge(wire, kept)


def _merge(wire: dict[str, Json], kept: dict[str, Json]) -> None:
    for key, value in kept.items():
        present = wire.get(key)
        if key not in wire:
            wire[key] = value
        elif isinstance(present, dict) and isinstance(value, dict):
            _merge(present, value)


class Object(msgspec.Struct, eq=False):
    """A JSON object that is read by taking keys out of it: what is left is what the reader does not model.

    A key whose value is null counts as absent. `take_*` of a wrong type raises `GatewayError` (INVALID_REQUEST) that
    names the path; in a `lenient` object, for what providers say, it leaves the value where it is and gives nothing.
    Objects taken from inside are emptied in place, so that what is left of them stays at its own level. One that has a
    `parent` stands there at `key` or, in an array, at the `index` of it.
    """

    # A struct of msgspec is made in half the time of a class's own object; a request is a hundred of them.
    fields: dict[str, Json]
    lenient: bool = False
    parent: Object | None = None
    key: str = ""
    index: int | None = None
    inner: list[Object] | None = None

    def __repr__(self) -> str:
        return f"Object({self.path!r})"

    @property
    def path(self) -> str:
        """Where the object stands, such as `messages[2].content[0]`; empty at the top."""
        above = self.parent.path if self.parent is not None else ""
        here = self.key if self.index is None else f"{self.key}[{self.index}]"
        return f"{above}.{here}" if above and here else above or here

    def at(self, key: str) -> str:
        """The path of one of its keys."""
        above = self.path
        return f"{above}.{key}" if above else key

    def check_str(self, key: str) -> None:
        """Raise `GatewayError` where there is no string at `key`, which stays where it is."""
        if type(self.fields.get(key)) is not str:
            self.need_str(key)

    def take(self, key: str) -> Json:
        """Whatever stands at `key`; None where absent."""
        return self.fields.pop(key, None)

    def take_str(self, key: str) -> str | None:
        """The string at `key`; None where absent."""
        value = self.fields.pop(key, None)
        if value is None or type(value) is str:
            return value
        self._wrong(key, value, "a string")
        return None

    def need_str(self, key: str) -> str:
        """The string at `key`, which must be there. A lenient object gives the empty string."""
        value = self.fields.pop(key, None)
        if type(value) is str:
            return value
        if value is not None:
            self._wrong(key, value, "a string")
        if self.lenient:
            return ""
        raise invalid_request(f"`{self.at(key)}` is required.", self.at(key))

    def take_bool(self, key: str) -> bool | None:
        """The boolean at `key`; None where absent."""
        value = self.fields.pop(key, None)
        if value is None or type(value) is bool:
            return value
        self._wrong(key, value, "a boolean")
        return None

    def take_int(self, key: str, least: int = -(2**31), most: int = 2**31 - 1) -> int | None:
        """The integer at `key`, within bounds; None where absent. A float without a fraction counts."""
        value = self.fields.pop(key, None)
        if type(value) is float and value.is_integer():
            value = int(value)
        if value is None or (type(value) is int and least <= value <= most):
            return value
        if type(value) is int:
            self._wrong(key, value, f"between {least} and {most}", named=str(value)[:32])
            return None
        self._wrong(key, value, "an integer")
        return None

    def take_number(self, key: str, least: float = -math.inf, most: float = math.inf) -> float | None:
        """The number at `key`, within bounds; None where absent."""
        value = self.fields.pop(key, None)
        if value is None:
            return None
        if type(value) is not float and type(value) is not int:
            self._wrong(key, value, "a number")
            return None
        if not (least <= value <= most and -_MOST_NUMBER <= value <= _MOST_NUMBER):
            bounds = f"between {least:g} and {most:g}" if math.isfinite(most) else f"at least {least:g}"
            self._wrong(key, value, bounds, named=str(value)[:32])
            return None
        return value

    def take_object(self, key: str) -> Object | None:
        """The object at `key`; None where absent."""
        value = self.fields.get(key)
        if type(value) is not dict:
            if value is None:
                self.fields.pop(key, None)
                return None
            self._wrong(key, self.fields.pop(key), "an object")
            return None
        inner = Object(value, self.lenient, self, key)
        if self.inner is None:
            self.inner = [inner]
        else:
            self.inner.append(inner)
        return inner

    def take_dict(self, key: str) -> dict[str, Json] | None:
        """The object at `key`, whole and as it is; None where absent."""
        value = self.fields.pop(key, None)
        if value is None or type(value) is dict:
            return value
        self._wrong(key, value, "an object")
        return None

    def take_list(self, key: str) -> list[Json] | None:
        """The array at `key`; None where absent."""
        value = self.fields.pop(key, None)
        if value is None or type(value) is list:
            return value
        self._wrong(key, value, "an array")
        return None

    def take_objects(
        self, key: str, plain: Callable[[dict[str, Json], Any], bool] | None = None, into: Any = None
    ) -> Iterator[Object]:
        """The objects of the array at `key`, one by one; none where absent. A lenient object passes over the rest.

        Those that `plain` reads by itself into `into`, as it tells, are not given: most are of a common shape, for
        which an object that knows its path and what is left of it is more than they need.
        """
        for index, value in enumerate(self.take_list(key) or ()):
            if type(value) is dict:
                if plain is None or not plain(value, into):
                    yield Object(value, self.lenient, self, key, index)
            elif not self.lenient:
                self._wrong_item(key, index, value)

    def put_into_array(self, key: str) -> None:
        """Put the object at `key` into an array, where it stands alone."""
        value = self.fields.get(key)
        if type(value) is msgspec.Raw and _is_object(value):
            value = loads(value)
        if type(value) is dict:
            self.fields[key] = [value]

    def take_shaped(
        self, key: str, shape: Shape[Shaped], plain: Callable[[Shaped, Any], bool], into: Any
    ) -> Iterator[Object]:
        """As `take_objects`, where the array may be text still: those of a common shape are read straight from it, and
        are what `plain` is told."""
        given = self.fields.get(key)
        if type(given) is not msgspec.Raw or _is_object(given):
            self.fields[key] = opened(given)
            yield from self.take_objects(key)
            return
        del self.fields[key]
        texts: list[msgspec.Raw] = []
        items = shape.read_all(given)
        if items is None:
            texts = _items(given)
            items = [shape.read(text) for text in texts]
        for index, item in enumerate(items):
            if item is not None and plain(item, into):
                continue
            texts = texts or _items(given)
            value = loads(texts[index])
            if type(value) is dict:
                yield Object(value, self.lenient, self, key, index)
            elif not self.lenient:
                self._wrong_item(key, index, value)

    def take_text(self, key: str) -> str | None:
        """Whatever stands at `key`, as JSON text; None where absent."""
        value = self.fields.pop(key, None)
        return None if value is None else text_of(value)

    def rest(self) -> dict[str, Json]:
        """What nobody took, at its own level of nesting."""
        if self.inner is not None:
            for inner in self.inner:
                if not (inner.fields and inner.rest()):
                    self.fields.pop(inner.key, None)
            self.inner = None
        return self.fields

    def keep(self, extras: MutableMapping[str, str], dialect: str) -> None:
        """Take what nobody took, and put it into `extras` under the dialect's name."""
        if not self.fields:
            return
        rest = self.rest()
        if rest:
            kept = {key: value for key, value in rest.items() if value is not None}
            if kept:
                extras[dialect] = text_of(kept)
            rest.clear()

    def _wrong_item(self, key: str, index: int, value: Json) -> NoReturn:
        path = f"{self.at(key)}[{index}]"
        raise invalid_request(f"`{path}` must be an object, not {_kind(value)}.", path)

    def _wrong(self, key: str, value: Json, wanted: str, named: str | None = None) -> None:
        if not self.lenient:
            path = self.at(key)
            raise invalid_request(f"`{path}` must be {wanted}, not {named or _kind(value)}.", path)
        self.fields[key] = value


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
