"""LM-guided chain of thought (Lee et al., LREC-COLING 2024)."""
