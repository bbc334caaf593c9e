"""Responses over every kind of provider, by OpenAI's SDK."""

from surfaces.conformance import SurfaceConformance
from surfaces.responses_surface import ResponsesSurface


class TestResponses(SurfaceConformance):
    """See `SurfaceConformance`."""

    surface = ResponsesSurface
