"""OpenAI's Python SDK: responses."""

import json

from checks import (
    ANSWER,
    CALL_BOTH,
    IMAGE_URL,
    LONG,
    PNG,
    REFUSAL,
    REFUSE,
    RESULTS,
    SAY_LONG,
    SYSTEM,
    THOUGHT,
    THOUGHT_WORDS,
    TOOLS,
    TURNS,
    WEATHER,
    WORDS,
    Weather,
    can,
    check,
    ends_with,
    has,
    needs,
    same,
    tokens_of,
)
from openai_chat import MODEL, THINKER, client

FUNCTIONS = [
    {"type": "function", "name": name, "description": about, "parameters": schema, "strict": False}
    for name, (about, schema, _) in TOOLS.items()
]


def streamed(model=MODEL, **settings):
    """The events of a stream, whose numbers rise, and its last response."""
    events = list(client.responses.create(model=model, stream=True, **settings))
    same("numbers", [event.sequence_number for event in events], list(range(len(events))))
    return events, events[-1].response


@check
def a_response_gets_the_answer():
    answer = client.responses.create(model=MODEL, input="Hello, you")
    same("text", answer.output_text, ANSWER)
    same("status", answer.status, "completed")
    same("output tokens", answer.usage.output_tokens, WORDS)


@check
def a_streamed_response_gets_the_answer():
    text, last = "", None
    for event in client.responses.create(model=MODEL, input="Hello, you", stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        last = event
    same("text", text, ANSWER)
    same("last event", last.type, "response.completed")
    same("text of the last event", last.response.output_text, ANSWER)


@check
def a_limit_leaves_a_response_incomplete():
    # The least that the vendor takes.
    answer = client.responses.create(model=MODEL, input="Hello, you", max_output_tokens=16)
    same("text", answer.output_text, " ".join(ANSWER.split()[:16]))
    same("status", answer.status, "incomplete")
    same("reason", answer.incomplete_details.reason, "max_output_tokens")


@check
def a_long_response_comes_whole():
    same("text", client.responses.create(model=MODEL, input=SAY_LONG).output_text, LONG)
    same("streamed", streamed(input=SAY_LONG)[1].output_text, LONG)


@check
def instructions_and_all_items_arrive():
    items = [{"role": role, "content": text} for role, text in zip(("user", "assistant", "user"), TURNS)]
    answer = client.responses.create(model=MODEL, instructions=SYSTEM, input=items)
    same("text", answer.output_text, f"{SYSTEM} {ANSWER}")
    same("input tokens", answer.usage.input_tokens, tokens_of(SYSTEM, *TURNS))


@check
def images_in_items_are_seen():
    parts = [{"type": "input_text", "text": "Look"}]
    for url in (f"data:image/png;base64,{PNG}", IMAGE_URL):
        parts.append({"type": "input_image", "image_url": url, "detail": "auto"})
    answer = client.responses.create(model=MODEL, input=[{"role": "user", "content": parts}])
    has("text", answer.output_text, "saw 2 image(s)")
    ends_with("text", answer.output_text, ANSWER)


@check
def a_response_follows_its_schema():
    answer = client.responses.parse(model=MODEL, input="Hello, you", text_format=Weather)
    same("parsed", answer.output_parsed, Weather(**WEATHER))


def calls_of(answer):
    return [item for item in answer.output if item.type == "function_call"]


@check
def functions_are_called_in_parallel_and_answered():
    settings = {"input": CALL_BOTH, "tools": FUNCTIONS}
    whole = client.responses.create(model=MODEL, **settings)
    events, last = streamed(**settings)
    deltas = {}
    for event in events:
        if event.type == "response.function_call_arguments.delta":
            deltas[event.output_index] = deltas.get(event.output_index, "") + event.delta
    same("streamed arguments", list(deltas.values()), [call.arguments for call in calls_of(last)])
    for answer in (whole, last):
        calls = calls_of(answer)
        same("names", [call.name for call in calls], list(TOOLS))
        same("ids", len({call.call_id for call in calls}), len(calls))
        for call in calls:
            same("arguments", json.loads(call.arguments), TOOLS[call.name][2])
        items = [{"role": "user", "content": CALL_BOTH}, *(item.to_dict() for item in answer.output)]
        items += [
            {"type": "function_call_output", "call_id": call.call_id, "output": RESULTS[call.name]}
            for call in calls
        ]
        end = client.responses.create(model=MODEL, input=items, tools=FUNCTIONS)
        has("text", end.output_text, *RESULTS.values())
        ends_with("text", end.output_text, ANSWER)


@check
def reasoning_goes_back_with_its_calls():
    settings = {"model": THINKER, "tools": FUNCTIONS, "reasoning": {"effort": "low", "summary": "auto"}}
    for included in ([], ["reasoning.encrypted_content"]):
        answer = client.responses.create(input=CALL_BOTH, include=included, **settings)
        items = [{"role": "user", "content": CALL_BOTH}, *(item.to_dict() for item in answer.output)]
        items += [
            {"type": "function_call_output", "call_id": call.call_id, "output": RESULTS[call.name]}
            for call in calls_of(answer)
        ]
        end = client.responses.create(input=items, include=included, **settings)
        has("text", end.output_text, *RESULTS.values())


@check
def a_refusal_is_told():
    answer, last = client.responses.create(model=MODEL, input=REFUSE), streamed(input=REFUSE)[1]
    for answer in (answer, last):
        same("text", answer.output_text, "")
        refusals = [part.refusal for item in answer.output for part in item.content]
        same("refusal", refusals, [REFUSAL] if can("refusals") else [])
        same("status", answer.status, "completed" if can("refusals") else "incomplete")


@check
def a_function_can_be_forced():
    choice = {"type": "function", "name": "get_time"}
    answer = client.responses.create(model=MODEL, input="Hello", tools=FUNCTIONS, tool_choice=choice)
    same("names", [call.name for call in calls_of(answer)], ["get_time"])


@check
def a_response_reasons():
    settings = {"input": "Hello, you", "reasoning": {"effort": "low"}}
    for answer in (client.responses.create(model=THINKER, **settings), streamed(THINKER, **settings)[1]):
        same("text", answer.output_text, ANSWER)
        same("output tokens", answer.usage.output_tokens, WORDS + THOUGHT_WORDS)
        same("thought tokens", answer.usage.output_tokens_details.reasoning_tokens, THOUGHT_WORDS)


@needs("thoughts")
def a_response_sums_its_reasoning_up():
    settings = {"input": "Hello, you", "reasoning": {"effort": "low", "summary": "auto"}}
    events, last = streamed(THINKER, **settings)
    deltas = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
    same("streamed", "".join(deltas), THOUGHT)
    for answer in (client.responses.create(model=THINKER, **settings), last):
        reasoning = [item for item in answer.output if item.type == "reasoning"]
        same("summary", [part.text for item in reasoning for part in item.summary], [THOUGHT])
