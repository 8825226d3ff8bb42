"""The bundled two-hop questions: the gold chain follows from the context and is a pure function of
its seed."""

from smallsteps.tasks.facts import DISTRACTORS, generate, make_chains, two_hop


def test_both_facts_stand_in_the_context_and_lead_to_the_answer():
    for index in range(200):
        made = two_hop(1, index)
        first, second = (made.facts[i] for i in made.needed)
        bridge = first.split()[-1]
        assert second.split()[0] == bridge
        assert second.split()[-1] == made.answer
        assert sum(fact.split()[0] == first.split()[0] for fact in made.facts) == 1


def test_extractive_pieces_are_sentences_of_the_context_and_the_inference_is_not():
    for chain in make_chains(50, seed=2):
        context = {sentence for _, sentences in chain.problem.context for sentence in sentences}
        first, second, inference, closing = chain.rationale.gold
        assert [kind for kind, _ in chain.rationale.gold] == ["ES", "ES", "AS", "ES"]
        assert {first[1].strip(), second[1].strip()} <= context
        assert inference[1].startswith("So ") and inference[1].strip() not in context
        assert closing[1] == f"The answer is {chain.problem.answer}."


def test_supporting_facts_point_at_the_two_sentences():
    for chain in make_chains(20, seed=3):
        context = dict(chain.problem.context)
        named = [context[title][place] for title, place in chain.problem.meta["supporting_facts"]]
        assert named == [text.strip() for _, text in chain.rationale.gold[:2]]


def test_the_same_seed_gives_the_same_questions():
    assert make_chains(20, seed=4) == make_chains(20, seed=4) != make_chains(20, seed=5)


def test_harder_questions_hide_their_facts_among_more():
    sizes = {}
    for difficulty in DISTRACTORS:
        (chain,) = generate(1, 7, difficulty)
        sizes[difficulty] = len(chain.problem.context)
    assert sizes == {"easy": 6, "medium": 10, "hard": 18}


def test_questions_go_over_a_town_to_a_country_or_over_a_firm_to_its_goods() -> None:
    kinds = {" ".join(chain.problem.question.split()[:3]) for chain in make_chains(60, 1)}
    assert kinds == {"In which country", "What does the"}
