"""The ways of teaching that can be compared: baselines, AS-ES learning, tailored learning,
LM-guided chain of thought."""
