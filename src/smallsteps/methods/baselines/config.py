"""The baselines in a recipe: the names of their arms.

base             the student before training, zero-shot
answer-only      question → answer sentence, without a chain
direct           question → whole chain
direct-report    the same on whole reports"""

from smallsteps.experiment.method import Method

BASE, ANSWER_ONLY, DIRECT, DIRECT_REPORT = "base", "answer-only", "direct", "direct-report"
ARMS = (BASE, ANSWER_ONLY, DIRECT, DIRECT_REPORT)

METHOD = Method(
    name="baselines",
    arm_names=lambda: ARMS,
    baseline=DIRECT,
    needs_chains=True,
    chainless=(BASE,),
)
