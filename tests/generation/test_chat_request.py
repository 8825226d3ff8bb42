"""The key of a request: a digest of all that its reply depends on."""

from __future__ import annotations

from smallsteps.generation.chat_request import ChatRequest

ASK = ChatRequest(
    "http://host/v1",
    "m",
    (("system", "be brief"), ("user", "why?")),
    (("max_tokens", 5), ("temperature", 1.0)),
    2,
)


def test_the_key_holds_every_part_of_the_request() -> None:
    others = [
        ChatRequest("http://other/v1", ASK.model, ASK.messages, ASK.parameters, 2),
        ChatRequest(ASK.base_url, "n", ASK.messages, ASK.parameters, 2),
        ChatRequest(ASK.base_url, "m", ASK.messages[1:], ASK.parameters, 2),
        ChatRequest(ASK.base_url, "m", ASK.messages, ASK.parameters[:1], 2),
        ChatRequest(ASK.base_url, "m", ASK.messages, ASK.parameters, 0),
    ]
    assert len({chat_request.key for chat_request in [ASK, *others]}) == 6
    assert ChatRequest("http://host/v1/", "m", ASK.messages, ASK.parameters, 2).key == ASK.key, (
        "a slash at the end changes nothing"
    )
    assert "sample" not in ASK.body()


def test_a_model_whose_path_is_no_utf_8_has_a_key() -> None:
    request = ChatRequest("local:x", "models/m\udcff", (("user", "why?"),))
    assert len(request.key) == 64 and "models/m?" in request.text()
