"""`scripts/breaking` compares the contract with the last one that callers could rely on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PROTO = """\
syntax = "proto3";

package thing.v1;

message Thing {
  string id = 1;
}
"""
ADDED = PROTO.replace("= 1;\n", "= 1;\n  string name = 2;\n")
BROKEN = PROTO.replace("string id", "int32 id")


class Repository:
    """A repository of one proto file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # The environment of the tests is the environment of the script.
        (root / "scripts/environment").write_text("")
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        """Runs git, as an author of its own and with no settings of the machine."""
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, text: str) -> None:
        """Puts the contract into the work tree."""
        path = self.root / "protos/thing/v1/thing.proto"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, text: str) -> str:
        """Writes and commits the contract."""
        self.write(text)
        self.git("add", ".")
        self.git("commit", "--quiet", "--allow-empty", "--message=contract")
        return self.git("rev-parse", "--short", "HEAD")

    def breaking(self) -> tuple[int, str]:
        """The exit code and the output of the script."""
        run = subprocess.run([self.root / "scripts/breaking"], capture_output=True, text=True, check=False)
        assert run.stderr == ""
        return run.returncode, run.stdout


@pytest.fixture
def repository(checkout: Callable[..., Path]) -> Repository:
    """A repository with the scripts and without a commit."""
    return Repository(checkout("scripts/breaking", "scripts/image", "scripts/protoc", "buf.yaml"))


def test_an_edit_is_compared_with_the_last_commit(repository: Repository) -> None:
    """A change of the work tree on main is held against HEAD; a break names file, line and field."""
    commit = repository.commit(PROTO)
    repository.write(ADDED)
    assert repository.breaking() == (0, f"compatible with {commit}\n")
    repository.write(BROKEN)
    code, output = repository.breaking()
    assert code != 0
    assert 'thing/v1/thing.proto:6:3:Field "1" with name "id" on message "Thing" changed type' in output


def test_a_commit_on_main_is_compared_with_the_one_before(repository: Repository) -> None:
    """With nothing changed since, the last commit itself is what is looked at."""
    first = repository.commit(PROTO)
    assert repository.breaking() == (0, f"compatible with {first}\n")
    repository.commit(BROKEN)
    assert repository.breaking()[0] != 0
    third = repository.commit(BROKEN)
    repository.commit(BROKEN)
    assert repository.breaking() == (0, f"compatible with {third}\n")


def test_a_branch_is_compared_with_main(repository: Repository) -> None:
    """All commits of a branch are held against main, not only its last."""
    main = repository.commit(PROTO)
    repository.git("switch", "--quiet", "--create=work")
    repository.commit(ADDED)
    repository.commit(ADDED)
    assert repository.breaking() == (0, f"compatible with {main}\n")
    repository.commit(BROKEN)
    repository.commit(BROKEN)
    assert repository.breaking()[0] != 0


def test_a_detached_clone_uses_the_main_of_its_origin(repository: Repository, tmp_path: Path) -> None:
    """What continuous integration checks out has no branch of its own."""
    main = repository.commit(PROTO)
    repository.git("switch", "--quiet", "--create=work")
    repository.commit(BROKEN)
    repository.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Repository.__new__(Repository)
    clone.root = tmp_path / "clone"
    clone.git("checkout", "--quiet", "--detach")
    clone.git("branch", "--delete", "--force", "work")
    assert clone.breaking()[0] != 0
    clone.write(ADDED)
    assert clone.breaking() == (0, f"compatible with {main}\n")


def test_a_first_contract_breaks_nobody(repository: Repository) -> None:
    """Where the base has no contract there is nothing to compare with."""
    repository.git("commit", "--quiet", "--allow-empty", "--message=empty")
    repository.write(PROTO)
    code, output = repository.breaking()
    assert code == 0
    assert "has no contract" in output
