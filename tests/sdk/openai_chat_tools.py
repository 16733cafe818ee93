"""OpenAI's Python SDK: chats that call tools."""

import json

from checks import (
    ANSWER,
    CALL_BOTH,
    CALL_ONE,
    PNG,
    RESULTS,
    TOOLS,
    ZONE,
    check,
    ends_with,
    has,
    needs,
    same,
)
from openai_chat import MODEL, THINKER, client

FUNCTIONS = [
    {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}
    for name, (about, schema, _) in TOOLS.items()
]


def ask(text, model=MODEL, **more):
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=messages, tools=FUNCTIONS, **more)


def names(answer):
    return [call.function.name for call in answer.choices[0].message.tool_calls or []]


def results(calls):
    """What the tools say, as messages."""
    return [
        {"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.function.name]} for call in calls
    ]


@check
def tools_are_called_in_parallel():
    answer = ask(CALL_BOTH)
    same("finish reason", answer.choices[0].finish_reason, "tool_calls")
    same("names", names(answer), list(TOOLS))
    calls = answer.choices[0].message.tool_calls
    same("ids", len({call.id for call in calls}), len(calls))
    for call in calls:
        same("arguments", json.loads(call.function.arguments), TOOLS[call.function.name][2])


@check
def streamed_tools_are_called_in_pieces():
    calls, reasons = {}, []
    for chunk in ask(CALL_BOTH, stream=True):
        for choice in chunk.choices:
            reasons += [choice.finish_reason] if choice.finish_reason else []
            for delta in choice.delta.tool_calls or []:
                call = calls.setdefault(delta.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += delta.id or ""
                call["name"] += delta.function.name or ""
                call["arguments"] += delta.function.arguments or ""
    same("finish reasons", reasons, ["tool_calls"])
    same("indexes", list(calls), [0, 1])
    same("names", [call["name"] for call in calls.values()], list(TOOLS))
    same("ids", len({call["id"] for call in calls.values()}), 2)
    for call in calls.values():
        same("arguments", json.loads(call["arguments"]), TOOLS[call["name"]][2])


@check
def the_stream_helper_puts_tool_calls_together():
    messages = [{"role": "user", "content": CALL_BOTH}]
    with client.chat.completions.stream(model=MODEL, messages=messages, tools=FUNCTIONS) as stream:
        for _ in stream:
            pass
        answer = stream.get_final_completion()
    same("names", names(answer), list(TOOLS))


@check
def what_the_tools_say_arrives():
    first = ask(CALL_BOTH).choices[0].message
    messages = [{"role": "user", "content": CALL_BOTH}, first, *results(first.tool_calls)]
    settings = {"model": MODEL, "messages": messages, "tools": FUNCTIONS}
    text = client.chat.completions.create(**settings).choices[0].message.content
    has("text", text, *RESULTS.values())
    ends_with("text", text, ANSWER)
    chunks = client.chat.completions.create(**settings, stream=True)
    same("streamed", "".join(chunk.choices[0].delta.content or "" for chunk in chunks), text)


@check
def reasoning_goes_on_after_tools():
    first = ask(CALL_BOTH, THINKER, reasoning_effort="low").choices[0].message
    messages = [{"role": "user", "content": CALL_BOTH}, first, *results(first.tool_calls)]
    settings = {"model": THINKER, "messages": messages, "tools": FUNCTIONS, "reasoning_effort": "low"}
    text = client.chat.completions.create(**settings).choices[0].message.content
    has("text", text, *RESULTS.values())


@check
def tools_are_called_turn_after_turn():
    messages = [{"role": "user", "content": CALL_ONE}]
    for _ in range(2):
        answer = client.chat.completions.create(model=MODEL, messages=messages, tools=FUNCTIONS)
        same("names", names(answer), ["get_weather"])
        first = answer.choices[0].message
        messages += [first, *results(first.tool_calls)]
        text = client.chat.completions.create(model=MODEL, messages=messages, tools=FUNCTIONS)
        messages += [text.choices[0].message, {"role": "user", "content": "Again: call get_weather"}]


@check
def a_choice_rules_over_the_words():
    forced = {"type": "function", "function": {"name": "get_time"}}
    for choice, text, expected in [
        ("none", CALL_BOTH, []),
        ("required", "Hello, get_time", ["get_time"]),
        (forced, CALL_ONE, ["get_time"]),
        ("auto", "Hello", []),
    ]:
        same(f"{choice}", names(ask(text, tool_choice=choice)), expected)
    forced_call = ask("Hello", tool_choice=forced).choices[0].message.tool_calls[0]
    same("arguments", json.loads(forced_call.function.arguments), ZONE)


@needs("single_call")
def one_call_at_a_time_can_be_asked_for():
    same("names", names(ask(CALL_BOTH, parallel_tool_calls=False)), ["get_weather"])


@check
def images_and_tools_go_together():
    parts = [
        {"type": "text", "text": CALL_ONE},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    answer = ask(parts)
    same("names", names(answer), ["get_weather"])
    has("text", answer.choices[0].message.content, "saw 1 image(s)")
    deltas = [choice.delta for chunk in ask(parts, stream=True) for choice in chunk.choices]
    has("streamed", "".join(delta.content or "" for delta in deltas), "saw 1 image(s)")
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    same("indexes", {call.index for call in calls}, {0})
