"""Keys and their owners, as an admin manages them from a shell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli.running import Gateway, run, serving

ADMIN = "an-admin-key-of-at-least-32-characters"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with an admin."""
    path: Path = tmp_path_factory.mktemp("house") / "trunkline.yaml"
    path.write_text(f"access: {{admin_key: {ADMIN}}}\n")
    with serving("--config", str(path)) as gateway:
        yield gateway


def ask(*arguments: str, **variables: str) -> Any:
    """What an admin is answered, as JSON."""
    done = run(*arguments, "--json", TRUNKLINE_KEY=ADMIN, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_key_lives(house: Gateway) -> None:
    """Over gRPC it is made with its limits, works, is changed, rotated, listed, disabled and deleted."""
    wire = house.grpc
    made = run(
        "keys", "create", "ann", "--rpm", "5", "--daily-usd", "1.5", "--model", "sim/*", *wire, TRUNKLINE_KEY=ADMIN
    )
    secret = made.stdout.strip()
    assert made.returncode == 0
    assert "shown this once" in made.stderr
    headers = {"authorization": f"Bearer {secret}"}
    assert httpx.get(f"{house.http[1]}/v1/models", headers=headers).status_code == 200
    (key,) = [one for one in ask("keys", "list", *wire)["keys"] if one["prefix"] == secret[:12]]
    assert key["limits"] == {"requestsPerMinute": "5", "dailyNanoUsd": "1500000000"}
    changed = ask("keys", "update", key["id"], "--rpm", "none", "--name", "bob", "--model", "none", *wire)
    assert (changed["name"], changed["limits"]) == ("bob", {"dailyNanoUsd": "1500000000"})
    assert "models" not in changed
    newer = ask("keys", "rotate", key["id"], "--grace", "1h", *wire)
    assert newer["key"]["oldSecretExpireTime"]
    told = run("keys", "list", *wire, TRUNKLINE_KEY=ADMIN).stdout
    assert "$1.50 daily" in told
    assert newer["secret"] not in told
    assert ask("keys", "disable", key["id"], *wire)["disabled"] is True
    assert httpx.get(f"{house.http[1]}/v1/models", headers=headers).status_code == 401
    gone = run("keys", "delete", key["id"], *wire, TRUNKLINE_KEY=ADMIN)
    assert (gone.returncode, gone.stdout) == (0, "")
    missing = run("keys", "show", key["id"], *wire, TRUNKLINE_KEY=ADMIN)
    assert (missing.returncode, missing.stderr) == (1, f"error: There is no key `{key['id']}`.\n")


def test_a_key_by_its_name(house: Gateway) -> None:
    """It is told of by it as long as no other has the same name."""
    wire = house.http
    first = ask("keys", "create", "cat", *wire)["key"]["id"]
    assert ask("keys", "show", "cat", *wire)["id"] == first
    assert ask("keys", "disable", "cat", *wire)["disabled"] is True
    second = ask("keys", "create", "cat", *wire)["key"]["id"]
    either = run("keys", "show", "cat", *wire, TRUNKLINE_KEY=ADMIN)
    assert (either.returncode, first in either.stderr, second in either.stderr) == (2, True, True)
    missing = run("keys", "enable", "dog", *wire, TRUNKLINE_KEY=ADMIN)
    assert (missing.returncode, missing.stderr) == (1, "error: There is no key `dog`.\n")


def test_owners(house: Gateway) -> None:
    """Over HTTP they are made below one another, listed, disabled and deleted."""
    wire = house.http
    organization = ask("owners", "organization", "create", "acme", "--tpm", "100", *wire)["id"]
    user = ask("owners", "user", "create", "ann", "--organization", organization, *wire)["id"]
    listed = ask("owners", "user", "list", "--organization", organization, *wire)["users"]
    assert [(one["id"], one["organizationId"]) for one in listed] == [(user, organization)]
    changed = ask("owners", "organization", "update", organization, "--disable", "--tpm", "none", "--calls", "3", *wire)
    assert (changed["disabled"], changed["limits"]) == (True, {"concurrentCalls": "3"})
    refused = run("owners", "organization", "delete", organization, *wire, TRUNKLINE_KEY=ADMIN)
    assert (refused.returncode, user in refused.stderr) == (1, True)
    assert run("owners", "user", "delete", user, *wire, TRUNKLINE_KEY=ADMIN).returncode == 0


def test_without_the_admins_key(house: Gateway) -> None:
    """It is told that this takes one."""
    done = run("keys", "list", *house.http)
    assert done.returncode == 1
    assert "admin's key" in done.stderr or "API key" in done.stderr


def test_in_the_database_itself(tmp_path: Path) -> None:
    """Where the admin's key is lost, another is made; a secret from elsewhere is taken from stdin."""
    place = {"TRUNKLINE_STORE_URL": f"sqlite:///{tmp_path}/t.db"}
    secret = run("keys", "create", "root", "--admin", "--local", **place).stdout.strip()
    imported = run("keys", "create", "old", "--import", "--local", stdin="sk-or-v1-0123456789abcdef\n", **place)
    assert imported.stdout.startswith("key_")
    with serving(**place) as gateway:
        done = run("keys", "list", "--json", *gateway.grpc, TRUNKLINE_KEY=secret)
        assert [key["name"] for key in json.loads(done.stdout)["keys"]] == ["root", "old"]
        answer = httpx.get(f"{gateway.http[1]}/v1/models", headers={"x-api-key": "sk-or-v1-0123456789abcdef"})
        assert answer.status_code == 200
        assert "$TRUNKLINE_KEY" in gateway.said


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "x", "--rpm", "many"),
        ("create", "x", "--expires", "soon"),
        ("rotate", "x", "--grace", "1y"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...]) -> None:
    """They are told before anything is done."""
    done = run("keys", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
