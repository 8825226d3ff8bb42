"""What commands read from environment variables."""

from __future__ import annotations

import os

from smallsteps.generation.access import Access


def access() -> Access:
    """Base URL and key of OPENAI_BASE_URL and OPENAI_API_KEY."""
    return Access(
        os.environ.get("OPENAI_BASE_URL") or None,
        os.environ.get("OPENAI_API_KEY", "").strip() or None,
    )
