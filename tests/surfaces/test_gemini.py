"""`generateContent` over every kind of provider, by Google's SDK."""

import pytest
from surfaces.conformance import SurfaceConformance
from surfaces.gemini_surface import GeminiSurface


# The SDK subclasses aiohttp's session, of which aiohttp warns.
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
class TestGemini(SurfaceConformance):
    """See `SurfaceConformance`."""

    surface = GeminiSurface
