"""The contract over every kind of provider, by the generated stubs."""

from e2e.conftest import Running
from surfaces.conformance import SurfaceConformance
from surfaces.grpc_surface import GrpcSurface
from surfaces.said import Surface


class TestGrpc(SurfaceConformance):
    """See `SurfaceConformance`."""

    turns = 40

    def connect(self, house: Running, key: str) -> Surface:
        return GrpcSurface(house.grpc, key)
