"""Prompts, paid replies and budgets: what teaching by a large model needs besides a generator."""
