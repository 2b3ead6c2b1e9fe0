from tests.review.conftest import county_desk, ground

__all__ = ["county_desk", "ground"]
