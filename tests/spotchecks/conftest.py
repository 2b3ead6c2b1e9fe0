from tests.review.conftest import ground

__all__ = ["ground"]
