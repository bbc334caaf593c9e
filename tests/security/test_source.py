"""What the program's own text must not hold."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from trunkline.services import SERVICES

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "server" / "trunkline").rglob("*.py"))
SQL = frozenset({"text", "literal_column", "exec_driver_sql", "execute", "DDL", "op.execute"})
NEVER = frozenset({"eval", "exec", "compile", "__import__"})
NO_MODULES = frozenset({"pickle", "marshal", "shelve", "dill", "cloudpickle", "telnetlib", "xml", "jsonpickle"})


def _calls(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.Call]]:
    for node in nodes:
        if isinstance(node, ast.Call):
            func = node.func
            yield (func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")), node


def _is_written_out(node: ast.expr) -> bool:
    """Whether an argument is a text as it stands, a number, or what is no text at all."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add)):
        return False
    return not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format")


def _is_compiled(node: ast.expr, nodes: list[ast.AST]) -> bool:
    """Whether an attribute is the text of an expression of SQLAlchemy's, `str(compiled)`, and never another."""
    texts = _values(node, nodes)
    calls = [text for text in texts if isinstance(text, ast.Call) and ast.unparse(text.func) == "str" and text.args]
    made = [value for text in calls for value in _values(text.args[0], nodes)]
    names = {name for name, _ in _calls(made)}
    return isinstance(node, ast.Attribute) and len(calls) == len(texts) == len(made) == 1 and names == {"compile"}


def _values(target: ast.expr, nodes: list[ast.AST]) -> list[ast.expr]:
    """What a module assigns to `target`."""
    name = ast.unparse(target)
    assigned = [(node.targets, node.value) for node in nodes if isinstance(node, ast.Assign)]
    return [value for targets, value in assigned if name in map(ast.unparse, targets)]


def test_no_statement_is_put_together_from_texts() -> None:
    """SQL is made of SQLAlchemy's expressions, whose values are bound; the few texts of it are written out. Nothing is
    evaluated, unpickled or run by a shell, and YAML is read by the safe loader."""
    assert len(SOURCES) > 400
    for path in SOURCES:
        _check(path)


def _check(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    of_sql = [node for node in froms if (node.module or "").startswith(("sqlalchemy", "alembic"))]
    imported = {alias.name for node in of_sql for alias in node.names}
    for name, call in _calls(nodes):
        if name in SQL and call.args and (name not in ("text", "literal_column") or name in imported):
            assert _is_written_out(call.args[0]), f"{path}:{call.lineno}"
            if name in ("text", "exec_driver_sql", "DDL"):
                told = call.args[0]
                assert isinstance(told, ast.Constant) or _is_compiled(told, nodes), f"{path}:{call.lineno}"
        assert name not in NEVER or isinstance(call.func, ast.Attribute), f"{path}:{call.lineno}"
        assert name not in ("system", "popen", "create_subprocess_shell"), f"{path}:{call.lineno}"
        assert not any(word.arg == "shell" for word in call.keywords), f"{path}:{call.lineno}"
        if (
            name in ("load", "load_all")
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
        ):
            assert call.func.value.id not in ("yaml", "pickle"), f"{path}:{call.lineno}"
    for node in nodes:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.split(".")[0] for name in names} & NO_MODULES, path


def test_the_linter_looks_for_the_same() -> None:
    """Its rules on security are on, for every file, and are left aside only where a line says why."""
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert {"S", "BLE"} <= set(lint["select"])
    assert not [rule for rule in lint["ignore"] if rule.startswith("S") and rule != "S105"]
    for path, rules in lint["per-file-ignores"].items():
        assert path.startswith("tests/") or not [rule for rule in rules if re.match(r"S\d", rule)]


def test_everything_that_is_installed_is_known_by_its_hash() -> None:
    """Each package of each lock is there with its hashes, so that what is installed is what was looked at."""
    locks = [*ROOT.glob("requirements/*.txt")]
    assert locks
    for lock in locks:
        text = lock.read_text().replace("\\\n", " ")
        packages = re.findall(r"(?m)^[A-Za-z0-9][^#\n]*==[^\n]*$", text)
        assert packages
        assert not [one for one in packages if "--hash=sha256:" not in one]


def _fields(message: Descriptor, seen: set[str], path: str = "") -> Iterator[tuple[str, FieldDescriptor]]:
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    for field in message.fields:
        yield f"{message.full_name}.{field.name}", field
        if field.message_type is not None:
            yield from _fields(field.message_type, seen)


def test_no_answer_has_a_place_for_a_secret() -> None:
    """What a provider is reached with can be configured, and read back from nowhere: the only answers with a secret in
    them are those that make a caller's key, and show it this once."""
    found = set()
    for service in SERVICES:
        for method in service.methods:
            for name, _ in _fields(method.output_type, set()):
                if re.search(r"secret|password|api_key$|credential|private|token$", name.rpartition(".")[2]):
                    found.add(name)
    shown_once = {"trunkline.v1.CreateKeyResponse.secret", "trunkline.v1.RotateKeyResponse.secret"}
    none = {"trunkline.v1.TokenLogprob.token", "trunkline.v1.Key.old_secret_expire_time"}
    pages = {name for name in found if name.endswith(".next_page_token")}
    assert found - pages - none <= shown_once
