"""Anthropic's Python SDK: messages that use tools."""

from anthropic_messages import MODEL, THINKER, THINKING, client, text_of
from checks import ANSWER, CALL_BOTH, CALL_ONE, PNG, RESULTS, TOOLS, check, ends_with, has, needs, same

OFFERED = [
    {"name": name, "description": about, "input_schema": schema} for name, (about, schema, _) in TOOLS.items()
]


def settings(content, **more):
    messages = content if isinstance(content, list) and "role" in content[0] else None
    messages = messages or [{"role": "user", "content": content}]
    return {"model": MODEL, "max_tokens": 2000, "tools": OFFERED, "messages": messages, **more}


def both_ways(content, **more):
    """The message, whole and put together from a stream."""
    whole = client.messages.create(**settings(content, **more))
    with client.messages.stream(**settings(content, **more)) as stream:
        return [whole, stream.get_final_message()]


def uses_of(message):
    return [block for block in message.content if block.type == "tool_use"]


def names(message):
    return [block.name for block in uses_of(message)]


def answered(content, message, result=lambda name: RESULTS[name]):
    """The conversation after the tools have answered that message."""
    said = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in message.content]
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": result(block.name)}
        for block in uses_of(message)
    ]
    return [
        {"role": "user", "content": content},
        {"role": "assistant", "content": said},
        {"role": "user", "content": results},
    ]


@check
def tools_are_used_in_parallel():
    for message in both_ways(CALL_BOTH):
        same("stop reason", message.stop_reason, "tool_use")
        same("names", names(message), list(TOOLS))
        same("ids", len({block.id for block in uses_of(message)}), len(TOOLS))
        for block in uses_of(message):
            same("input", block.input, TOOLS[block.name][2])


@check
def a_streamed_input_is_json_in_pieces():
    events = client.messages.create(**settings(CALL_BOTH), stream=True)
    kinds = []
    for event in events:
        if event.type == "content_block_delta":
            kinds.append(event.delta.type)
    same("deltas", set(kinds), {"input_json_delta"})


@check
def what_the_tools_say_arrives():
    first = client.messages.create(**settings(CALL_BOTH))
    for message in both_ways(answered(CALL_BOTH, first)):
        has("text", text_of(message), *RESULTS.values())
        ends_with("text", text_of(message), ANSWER)
        same("stop reason", message.stop_reason, "end_turn")


@check
def results_may_be_blocks_with_images_and_errors():
    first = client.messages.create(**settings(CALL_ONE))
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    blocks = [{"type": "text", "text": "no idea"}, image]
    messages = answered(CALL_ONE, first, lambda name: blocks)
    messages[-1]["content"][0]["is_error"] = True
    text = text_of(client.messages.create(**settings(messages)))
    has("text", text, "no idea", "saw 1 image(s)")


@check
def a_choice_rules_over_the_words():
    for choice, text, expected in [
        ({"type": "none"}, CALL_BOTH, []),
        ({"type": "any"}, "Hello, get_time", ["get_time"]),
        ({"type": "tool", "name": "get_time"}, CALL_ONE, ["get_time"]),
        ({"type": "auto"}, "Hello", []),
    ]:
        message = client.messages.create(**settings(text, tool_choice=choice))
        same(choice["type"], names(message), expected)


@needs("single_call")
def one_use_at_a_time_can_be_asked_for():
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    same("names", names(client.messages.create(**settings(CALL_BOTH, tool_choice=choice))), ["get_weather"])


@check
def images_and_tools_go_together():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    for message in both_ways([image, {"type": "text", "text": CALL_ONE}]):
        has("text", text_of(message), "saw 1 image(s)")
        same("names", names(message), ["get_weather"])


@check
def thinking_goes_on_after_tools():
    thinking = {"model": THINKER, "thinking": THINKING}
    for first in both_ways(CALL_BOTH, **thinking):
        same("names", names(first), list(TOOLS))
        # Whatever was thought goes back as it came.
        again = client.messages.create(**settings(answered(CALL_BOTH, first), **thinking))
        has("text", text_of(again), *RESULTS.values())
