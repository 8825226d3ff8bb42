"""Tailored learning (Wang et al., EMNLP 2023)."""
