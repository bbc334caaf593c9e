"""`ModelService` over real channels."""

from __future__ import annotations

import grpc
import pytest
from rpc.player import MODEL, House, soon

from trunkline.rpc.status import from_rpc_error
from trunkline.v1.models_pb2 import GetModelRequest, ListModelsRequest


async def test_list_in_pages(house: House) -> None:
    """The pages, one after the other, hold every model."""
    first = await house.models.ListModels(ListModelsRequest(page_size=1))
    second = await house.models.ListModels(ListModelsRequest(page_size=1, page_token=first.next_page_token))
    assert [model.id for model in (*first.models, *second.models)] == [MODEL, "player/tune"]
    assert not second.next_page_token


async def test_bad_page_size(house: House) -> None:
    """A negative page size is refused by name."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.models.ListModels(ListModelsRequest(page_size=-1))
    assert from_rpc_error(caught.value).param == "page_size"


async def test_get(house: House) -> None:
    """A model is found by its name, and the call is recorded."""
    call = house.models.GetModel(GetModelRequest(id=MODEL))
    assert (await call).id == MODEL
    ended = await soon(house.ledger.ended.get())
    assert (ended.operation, ended.outcome) == ("get_model", "ok")
    assert (await call.trailing_metadata())["x-request-id"] == ended.id


async def test_get_unknown(house: House) -> None:
    """A model that is not there is NOT_FOUND."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.models.GetModel(GetModelRequest(id="nobody/nothing"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
