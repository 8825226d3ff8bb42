"""Guiding a large frozen model: the reader that answers with a rationale, and rewards for rationales."""
