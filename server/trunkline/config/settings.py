"""The settings as the models state them: their paths, and the flag and the environment variable of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from trunkline.config.model import Config
from trunkline.config.problem import Path
from trunkline.config.section import Section


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of one value, at a fixed path, so that an environment variable can give it, and a flag unless it is
    `secret`: the arguments of a process can be read by every user of its machine."""

    path: tuple[str, ...]
    description: str
    secret: bool = False

    @property
    def name(self) -> str:
        """As in the file: `http.max_body_bytes`."""
        return ".".join(self.path)

    @property
    def flag(self) -> str:
        """On the command line: `--http-max-body-bytes`."""
        return "--" + "-".join(self.path).replace("_", "-")

    @property
    def variable(self) -> str:
        """In the environment: `TRUNKLINE_HTTP_MAX_BODY_BYTES`."""
        return "TRUNKLINE_" + "_".join(self.path).upper()


def section(annotation: Any) -> type[Section] | None:
    """The section that a field of type `annotation` holds, None where it holds a value, a list or a mapping."""
    inner = bare(annotation)
    return inner if isinstance(inner, type) and issubclass(inner, Section) else None


def bare(annotation: Any) -> Any:
    """`annotation` without `None` and `Annotated`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, UnionType):
            (annotation,) = (option for option in get_args(annotation) if option is not NoneType)
        else:
            return annotation


def fields_at(path: Path) -> dict[str, FieldInfo]:
    """The settings that may stand at `path`; empty where any name may."""
    annotation: Any = Config
    for step in path:
        inner = section(annotation)
        annotation = get_args(bare(annotation))[-1] if inner is None else inner.model_fields[str(step)].annotation
    inner = section(annotation)
    return inner.model_fields if inner is not None else {}


def _scalars(model: type[Section], path: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        here = (*path, name)
        inner = section(field.annotation)
        if inner is not None:
            yield from _scalars(inner, here)
        elif get_origin(bare(field.annotation)) not in (list, dict):
            yield Setting(here, field.description or "", bare(field.annotation) is SecretStr)


SETTINGS: Final = tuple(_scalars(Config, ()))
"""Every setting that an environment variable can give, in the order of the models."""
