"""The quality of a rationale in eight aspects, the judges that measure them, and the perturbations
that test the judges."""
