"""The two distributions hold what they must, and nothing else."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from contract.installed import Installed


def contents(wheel: Path) -> set[str]:
    """The files of a wheel, without its own records."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_the_contract_is_a_wheel_of_its_own(root: Path, contracts: Installed) -> None:
    """It holds the modules and stubs of every proto file, says that it is typed, and holds nothing else."""
    names = contents(contracts.wheel)
    protos = [path.relative_to(root / "protos").with_suffix("") for path in (root / "protos").rglob("*.proto")]
    assert "trunkline/v1/py.typed" in names
    assert {f"{name}_pb2{suffix}" for name in protos for suffix in (".py", ".pyi")} <= names
    assert {name for name in names if not name.startswith("trunkline/v1/")} == set()


def test_the_contract_works_alone(contracts: Installed) -> None:
    """A service that installs only the contract can make messages and stubs; the server is not there."""
    program = (
        "import os, trunkline\n"
        "from trunkline.v1 import chat_pb2, chat_pb2_grpc, errors_pb2, models_pb2_grpc\n"
        "assert chat_pb2.ChatRequest(model='sim/echo').model == 'sim/echo'\n"
        "print([name for path in trunkline.__path__ for name in os.listdir(path)])\n"
    )
    run = contracts.run(program)
    assert (run.returncode, run.stdout, run.stderr) == (0, "['v1']\n", "")


def test_the_server_is_a_wheel(root: Path, build: Callable[[Path], Path]) -> None:
    """It holds every module of the server and the OpenAPI document, and neither the contract nor a test."""
    wheel = build(root)
    names = contents(wheel)
    server = root / "server"
    modules = {str(path.relative_to(server)) for path in server.rglob("*.py")}
    assert modules <= names
    assert {name for name in names if not name.startswith("trunkline/") or name.startswith("trunkline/v1/")} == set()
    with zipfile.ZipFile(wheel) as archive:
        document = archive.read("trunkline/web/openapi/openapi.json")
    assert document == (root / "gen/openapi/openapi.json").read_bytes()
