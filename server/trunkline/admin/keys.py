"""`KeyService`: keys and their owners, as an admin manages them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, Generic

from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask

from trunkline.access.directory import Directory
from trunkline.access.fields import Managed, assign, check, check_expiry, standard
from trunkline.access.secret import PREFIX, make_secret, malformed, shown
from trunkline.access.tokens import Tokens
from trunkline.admin.caller import check_admin
from trunkline.call import Call, Caller
from trunkline.config.access import AccessConfig
from trunkline.errors import GatewayError, invalid_request, not_found
from trunkline.store.database import Database
from trunkline.store.keys import KeyStore
from trunkline.store.owners import AnyOwner, OwnerStore
from trunkline.v1 import errors_pb2
from trunkline.v1.keys_pb2 import (
    CreateKeyRequest,
    CreateKeyResponse,
    CreateOrganizationRequest,
    CreateTeamRequest,
    CreateUserRequest,
    DeleteKeyRequest,
    DeleteOrganizationRequest,
    DeleteTeamRequest,
    DeleteUserRequest,
    DisableKeyRequest,
    EnableKeyRequest,
    GetKeyRequest,
    GetOrganizationRequest,
    GetTeamRequest,
    GetUserRequest,
    Key,
    ListKeysRequest,
    ListKeysResponse,
    ListOrganizationsRequest,
    ListOrganizationsResponse,
    ListTeamsRequest,
    ListTeamsResponse,
    ListUsersRequest,
    ListUsersResponse,
    Organization,
    RotateKeyRequest,
    RotateKeyResponse,
    Team,
    UpdateKeyRequest,
    UpdateOrganizationRequest,
    UpdateTeamRequest,
    UpdateUserRequest,
    User,
)

_PAGE: Final = 100
_LONGEST_PAGE: Final = 1000
_MOST_OWN: Final = 100
"""The keys that users may make themselves, those that admins made among them."""
_LONGEST_GRACE: Final = timedelta(days=30)
_LONGEST_ID: Final = 64
_SECRET: Final = (16, 512)
"""The lengths of secrets that come from elsewhere."""


async def open_keys(config: AccessConfig, database: Database) -> KeyDesk:
    """The keys that are in the database. Raises `ConfigError`."""
    store = KeyStore(database)
    pepper = await store.open(None if config.pepper is None else config.pepper.get_secret_value().encode())
    directory = Directory(store, pepper)
    await directory.refresh()
    return KeyDesk(store, directory, standard_limits=config.standard_limits)


class KeyDesk:
    """Answers `KeyService`: each method takes the request of one RPC and its call, whose caller must be an admin.

    Raises `GatewayError`: PERMISSION_DENIED for others, NOT_FOUND, INVALID_REQUEST. What was changed holds here at
    once, and at other replicas within a second.
    """

    def __init__(self, records: KeyStore, directory: Directory, *, standard_limits: bool = False) -> None:
        self.standard_limits = standard_limits
        self.directory = directory
        self._records = records
        self._organizations = _Owners(records.organizations, Organization, "org", directory)
        self._teams = _Owners(records.teams, Team, "team", directory)
        self._users = _Owners(records.users, User, "user", directory)

    async def first_admin(self) -> str | None:
        """Make a key for the admin where there is none; its secret."""
        secret = make_secret()
        key = Key(id=_new_id("key"), name="admin", admin=True, prefix=shown(secret))
        _stamp(key, new=True)
        made = await self._records.add_admin(key, self.directory.digest(secret))
        return secret if made else None

    async def create_key(self, request: CreateKeyRequest, call: Call) -> CreateKeyResponse:
        """Makes a key."""
        check_admin(call)
        return await self._make(request)

    async def _make(self, request: CreateKeyRequest) -> CreateKeyResponse:
        key = _new(request.key, "key")
        secret = request.secret or make_secret()
        if request.secret:
            _check_secret(secret)
        await self._own(key)
        self._check(key)
        check_expiry(key)
        key.prefix = shown(secret)
        await self._records.add(key, self.directory.digest(secret))
        await self.directory.refresh()
        return CreateKeyResponse(key=key, secret="" if request.secret else secret)

    async def list_keys(self, request: ListKeysRequest, call: Call) -> ListKeysResponse:
        """Lists the keys."""
        check_admin(call)
        size = _size(request.page_size)
        filters = {
            "organization_id": request.organization_id,
            "team_id": request.team_id,
            "user_id": request.user_id,
        }
        keys = await self._records.page(_ids(filters), _after(request.page_token), size + 1)
        return ListKeysResponse(keys=keys[:size], next_page_token=keys[size - 1].id if len(keys) > size else "")

    async def get_key(self, request: GetKeyRequest, call: Call) -> Key:
        """Gets a key."""
        check_admin(call)
        return await self._records.get(_id(request.id))

    async def update_key(self, request: UpdateKeyRequest, call: Call) -> Key:
        """Changes a key."""
        check_admin(call)

        def change(key: Key) -> None:
            before = key.expire_time.seconds
            assign(key, request.key, request.update_mask)
            if key.disabled:
                _not_own(key.id, call)
            if key.expire_time.seconds != before:
                check_expiry(key)
            self._check(key)

        return await self._change(_id(request.key.id, "key.id"), change)

    async def rotate_key(self, request: RotateKeyRequest, call: Call) -> RotateKeyResponse:
        """Gives a key another secret."""
        check_admin(call)
        grace = request.grace.ToTimedelta()
        if not timedelta() <= grace <= _LONGEST_GRACE:
            raise invalid_request(f"`grace` must be at most {_LONGEST_GRACE.days} days.", "grace")
        secret = make_secret()
        until = int(time.time() + grace.total_seconds()) if grace else 0

        def change(key: Key) -> None:
            key.prefix = shown(secret)
            _stamp(key)

        key = await self._records.rotate(_id(request.id), self.directory.digest(secret), until, change)
        await self.directory.refresh()
        return RotateKeyResponse(key=key, secret=secret)

    async def disable_key(self, request: DisableKeyRequest, call: Call) -> Key:
        """Refuses a key until it is enabled."""
        check_admin(call)
        _not_own(request.id, call)
        return await self._change(_id(request.id), lambda key: setattr(key, "disabled", True))

    async def enable_key(self, request: EnableKeyRequest, call: Call) -> Key:
        """Takes a key again that was disabled."""
        check_admin(call)
        return await self._change(_id(request.id), lambda key: setattr(key, "disabled", False))

    async def delete_key(self, request: DeleteKeyRequest, call: Call) -> Empty:
        """Deletes a key for good."""
        check_admin(call)
        _not_own(request.id, call)
        await self._records.delete(_id(request.id))
        await self.directory.refresh()
        return Empty()

    async def own_key(self, caller: Caller) -> Key | None:
        """The key that `caller` presents; None where it is not one of the database."""
        try:
            return await self._records.get(caller.key_id) if caller.key_id else None
        except GatewayError as error:
            if error.reason == errors_pb2.ERROR_REASON_NOT_FOUND:
                return None
            raise

    async def keys_of_user(self, call: Call) -> list[Key]:
        """The keys of the user who calls. Raises `GatewayError` (PERMISSION_DENIED) unless he is one."""
        return await self._records.page({"user_id": _user(call)}, "", _LONGEST_PAGE)

    async def create_own(self, name: str, call: Call) -> CreateKeyResponse:
        """Makes a key for the user who calls by a token, which may do no more than the token.

        Raises `GatewayError`: PERMISSION_DENIED unless he is a user, and by a key: that makes no other.
        """
        user, caller = _user(call), call.owner
        if caller.key_id:
            raise GatewayError(
                errors_pb2.ERROR_REASON_PERMISSION_DENIED, "A key makes no other key: call with a token of the user."
            )
        if len(await self._records.page({"user_id": user}, "", _MOST_OWN)) == _MOST_OWN:
            raise invalid_request(f"There are {_MOST_OWN} keys: delete one first.", "name")
        mine = Key(name=name, user_id=user, plan=caller.plan, models=caller.models, providers=caller.providers)
        return await self._make(CreateKeyRequest(key=mine))

    async def delete_own(self, name: str, call: Call) -> None:
        """Deletes a key of the user who calls. Raises `GatewayError`: PERMISSION_DENIED, NOT_FOUND."""
        user = _user(call)
        key = await self._records.get(_id(name))
        if key.user_id != user:
            raise not_found(f"There is no key `{name[:128]}`.", "id")
        await self._records.delete(key.id)
        await self.directory.refresh()

    async def create_organization(self, request: CreateOrganizationRequest, call: Call) -> Organization:
        """Makes an organization."""
        check_admin(call)
        return await self._organizations.create(request.organization)

    async def list_organizations(self, request: ListOrganizationsRequest, call: Call) -> ListOrganizationsResponse:
        """Lists the organizations."""
        check_admin(call)
        page, token = await self._organizations.page(request, {})
        return ListOrganizationsResponse(organizations=page, next_page_token=token)

    async def get_organization(self, request: GetOrganizationRequest, call: Call) -> Organization:
        """Gets an organization."""
        check_admin(call)
        return await self._records.organizations.get(_id(request.id))

    async def update_organization(self, request: UpdateOrganizationRequest, call: Call) -> Organization:
        """Changes an organization."""
        check_admin(call)
        return await self._organizations.update(request.organization, request.update_mask)

    async def delete_organization(self, request: DeleteOrganizationRequest, call: Call) -> Empty:
        """Deletes an organization that owns nothing any more."""
        check_admin(call)
        return await self._organizations.delete(request.id)

    async def create_team(self, request: CreateTeamRequest, call: Call) -> Team:
        """Makes a team."""
        check_admin(call)
        if request.team.organization_id:
            await self._owner(self._records.organizations, request.team.organization_id, "team.organization_id")
        return await self._teams.create(request.team)

    async def list_teams(self, request: ListTeamsRequest, call: Call) -> ListTeamsResponse:
        """Lists the teams."""
        check_admin(call)
        page, token = await self._teams.page(request, {"organization_id": request.organization_id})
        return ListTeamsResponse(teams=page, next_page_token=token)

    async def get_team(self, request: GetTeamRequest, call: Call) -> Team:
        """Gets a team."""
        check_admin(call)
        return await self._records.teams.get(_id(request.id))

    async def update_team(self, request: UpdateTeamRequest, call: Call) -> Team:
        """Changes a team."""
        check_admin(call)
        return await self._teams.update(request.team, request.update_mask)

    async def delete_team(self, request: DeleteTeamRequest, call: Call) -> Empty:
        """Deletes a team that owns nothing any more."""
        check_admin(call)
        return await self._teams.delete(request.id)

    async def create_user(self, request: CreateUserRequest, call: Call) -> User:
        """Makes a user."""
        check_admin(call)
        user = User()
        user.CopyFrom(request.user)
        await self._own(user)
        return await self._users.create(user)

    async def list_users(self, request: ListUsersRequest, call: Call) -> ListUsersResponse:
        """Lists the users."""
        check_admin(call)
        filters = {"organization_id": request.organization_id, "team_id": request.team_id}
        page, token = await self._users.page(request, filters)
        return ListUsersResponse(users=page, next_page_token=token)

    async def get_user(self, request: GetUserRequest, call: Call) -> User:
        """Gets a user."""
        check_admin(call)
        return await self._records.users.get(_id(request.id))

    async def update_user(self, request: UpdateUserRequest, call: Call) -> User:
        """Changes a user."""
        check_admin(call)
        return await self._users.update(request.user, request.update_mask)

    async def delete_user(self, request: DeleteUserRequest, call: Call) -> Empty:
        """Deletes a user that owns nothing any more."""
        check_admin(call)
        return await self._users.delete(request.id)

    async def _change(self, name: str, change: Callable[[Key], None]) -> Key:
        def stamped(key: Key) -> None:
            change(key)
            _stamp(key)

        key = await self._records.change(name, stamped)
        await self.directory.refresh()
        return key

    def _check(self, key: Key) -> None:
        if self.standard_limits and not key.admin:
            standard(key)
        check(key, self.directory.plans)

    async def _own(self, owned: Key | User) -> None:
        """Fill in the owners that follow from others. Raises `GatewayError` (INVALID_REQUEST) where they do not fit."""
        at = type(owned).__name__.lower()
        if isinstance(owned, Key) and owned.user_id:
            user = await self._owner(self._records.users, owned.user_id, "key.user_id")
            _follow(owned, "team_id", user.team_id, f"{at}.team_id")
            _follow(owned, "organization_id", user.organization_id, f"{at}.organization_id")
        if owned.team_id:
            team = await self._owner(self._records.teams, owned.team_id, f"{at}.team_id")
            _follow(owned, "organization_id", team.organization_id, f"{at}.organization_id")
        if owned.organization_id:
            await self._owner(self._records.organizations, owned.organization_id, f"{at}.organization_id")

    @staticmethod
    async def _owner(records: OwnerStore[AnyOwner], name: str, at: str) -> AnyOwner:
        try:
            return await records.get(_id(name, at))
        except GatewayError as error:
            if error.reason == errors_pb2.ERROR_REASON_NOT_FOUND:
                raise invalid_request(error.message, at) from None
            raise


class _Owners(Generic[AnyOwner]):
    """The owners of one kind; the ids of new ones begin with `prefix`."""

    def __init__(
        self, records: OwnerStore[AnyOwner], message: type[AnyOwner], prefix: str, directory: Directory
    ) -> None:
        self._records: OwnerStore[AnyOwner] = records
        self._kind = message.__name__.lower()
        self._prefix = prefix
        self._directory = directory

    async def create(self, asked: AnyOwner) -> AnyOwner:
        owner = _new(asked, self._prefix)
        check(owner, self._directory.plans)
        await self._records.add(owner)
        await self._directory.refresh()
        return owner

    async def page(self, request: Any, filters: Mapping[str, str]) -> tuple[list[AnyOwner], str]:
        size = _size(request.page_size)
        found = await self._records.page(_ids(filters), _after(request.page_token), size + 1)
        return found[:size], found[size - 1].id if len(found) > size else ""

    async def update(self, asked: AnyOwner, mask: FieldMask) -> AnyOwner:
        def change(owner: AnyOwner) -> None:
            assign(owner, asked, mask)
            check(owner, self._directory.plans)
            _stamp(owner)

        owner = await self._records.change(_id(asked.id, f"{self._kind}.id"), change)
        await self._directory.refresh()
        return owner

    async def delete(self, name: str) -> Empty:
        await self._records.delete(_id(name))
        await self._directory.refresh()
        return Empty()


def _user(call: Call) -> str:
    """The user of the database who calls."""
    user = call.owner.user_id
    if not user or ":" in user:  # one whom only tokens tell of has the name of their issuer
        raise GatewayError(
            errors_pb2.ERROR_REASON_PERMISSION_DENIED, "This takes a user whom an admin has made, with his `subject`."
        )
    return user


def _not_own(name: str, call: Call) -> None:
    if name and name == call.owner.key_id:
        raise invalid_request("That is the key that you call with: use another admin's.", "id")


def _new(asked: Managed, prefix: str) -> Managed:
    """What was asked for, as one that is new."""
    if asked.id:
        raise invalid_request("`id` cannot be chosen.", f"{type(asked).__name__.lower()}.id")
    made: Managed = type(asked)()
    made.CopyFrom(asked)
    for field in ("prefix", "create_time", "update_time", "last_use_time", "old_secret_expire_time"):
        if field in made.DESCRIPTOR.fields_by_name:
            made.ClearField(field)  # type: ignore[arg-type] # the stub has each name as a literal
    made.id = _new_id(prefix)
    _stamp(made, new=True)
    return made


def _new_id(prefix: str) -> str:
    """An id that sorts by the time when it was made."""
    return f"{prefix}_{int(time.time() * 1000):011x}{secrets.token_hex(7)}"


def _stamp(message: Key | Organization | Team | User, *, new: bool = False) -> None:
    message.update_time.GetCurrentTime()
    message.update_time.nanos = 0
    if new:
        message.create_time.CopyFrom(message.update_time)


def _follow(owned: Key | User, field: str, name: str, at: str) -> None:
    """Let an owner of the owner own it, too."""
    if name and getattr(owned, field) not in ("", name):
        raise invalid_request(f"`{at}` must be `{name}`, as that of its owner, or empty.", at)
    if name:
        setattr(owned, field, name)


def _check_secret(secret: str) -> None:
    least, most = _SECRET
    if not least <= len(secret) <= most or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise invalid_request(f"`secret` must be {least} to {most} visible ASCII characters.", "secret")
    if malformed(secret):
        raise invalid_request(f"`secret` begins with `{PREFIX}` and is not one that was made so.", "secret")
    if Tokens.is_token(secret):
        raise invalid_request("`secret` has the form of a token (JWT).", "secret")


def _size(asked: int) -> int:
    if asked < 0:
        raise invalid_request("`page_size` must not be negative.", "page_size")
    return min(asked or _PAGE, _LONGEST_PAGE)


def _ids(filters: Mapping[str, str]) -> Mapping[str, str]:
    return {field: _id(name, field) for field, name in filters.items() if name}


def _after(token: str) -> str:
    return _id(token, "page_token") if token else ""


def _id(name: str, at: str = "id") -> str:
    if not name:
        raise invalid_request(f"`{at}` is required.", at)
    if len(name) > _LONGEST_ID or not name.isprintable():
        raise invalid_request(f"`{at}` is no id.", at)
    return name
