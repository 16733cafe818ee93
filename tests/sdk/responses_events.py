"""OpenAI's Python SDK: every event of a streamed response, in order, with ids and numbers that fit."""

import json
from typing import get_args

import httpx2
import openai
from openai.types.responses import Response, ResponseStreamEvent

from checks import (
    ANSWER,
    API_KEY,
    BASE_URL,
    CALL_BOTH,
    REFUSAL,
    REFUSE,
    SYSTEM,
    THOUGHT,
    TOOLS,
    can,
    check,
    needs,
    run,
    same,
)

MODEL = "gpt-4o-mini"
# It shows what it thinks, where its API has a place for that.
THINKER = "thinker"
# The provider says after some words that it fails; the connection breaks.
FAILING = ["fault-error-late", "cut-20"]

client = openai.OpenAI(base_url=f"{BASE_URL}/v1", api_key=API_KEY, max_retries=0, timeout=20)

FUNCTIONS = [
    {"type": "function", "name": name, "description": about, "parameters": schema, "strict": False}
    for name, (about, schema, _) in TOOLS.items()
]

# Every event that the SDK knows, by its type.
KNOWN = {
    get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in get_args(get_args(ResponseStreamEvent)[0])
}

# What belongs to something that is refused, and so is never told: the feature, and how its events begin.
NEVER = {
    "spoken answers": ["response.audio."],
    "tools that the provider runs": [
        "response.code_interpreter_call",
        "response.file_search_call.",
        "response.image_generation_call.",
        "response.mcp_call",
        "response.mcp_list_tools.",
        "response.shell_call",
        "response.web_search_call.",
    ],
    "citations of what such tools found": ["response.output_text.annotation."],
    "tools without a schema": ["response.custom_tool_call_input."],
    "conversations that the provider keeps": ["response.compaction", "response.queued"],
}

# Texts that come in pieces: how their events begin, with the type of the part, where the part has its text,
# and which list of the item it is in.
TEXTS = {
    "response.output_text": ("output_text", "text", "content"),
    "response.refusal": ("refusal", "refusal", "content"),
    "response.reasoning_text": ("reasoning_text", "text", "content"),
    "response.reasoning_summary_text": ("summary_text", "text", "summary"),
}
# The lists that an item may have, and how the events of their parts begin.
LISTS = {"content": "response.content_part", "summary": "response.reasoning_summary_part"}
ARGUMENTS = "response.function_call_arguments"
ENDS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}

_seen = set()


class Story:
    """What the events of a stream tell, put together; fails the check at the first that doesn't fit."""

    def __init__(self):
        self.count = 0
        self.response = None
        # The items that are whole, and the one under way.
        self.items = []
        self.item = None
        self.part = None
        self.arguments = ""
        self.end = None

    def take(self, event):
        same("number", event.sequence_number, self.count)
        self.count += 1
        same("after the end", self.end, None)
        kind = event.type
        if kind in ("response.created", "response.in_progress"):
            same("place", self.count, 1 if kind == "response.created" else 2)
            self.begin(event.response)
        elif kind in ENDS:
            self.finish(event)
        elif kind == "response.output_item.added":
            same("item under way", self.item, None)
            same("output index", event.output_index, len(self.items))
            same("ids that are new", event.item.id in [item.id for item in self.items], False)
            # OpenAI's own reasoning has none.
            same("status", event.item.status or "in_progress", "in_progress")
            self.item, self.arguments = event.item.to_dict(), ""
            for name in LISTS:
                same("parts", self.item.get(name) or [], [])
        elif kind == "response.output_item.done":
            same("part under way", self.part, None)
            same("output index", event.output_index, len(self.items))
            self.keep(event.item)
        elif kind.rpartition(".")[0] in LISTS.values():
            self.take_part(event, *kind.rpartition(".")[::2])
        elif kind.startswith(ARGUMENTS):
            self.at(event)
            if kind.endswith(".delta"):
                self.arguments += event.delta
            else:
                same("arguments", event.arguments, self.arguments)
        elif kind != "error":
            self.take_text(event, *kind.rpartition(".")[::2])

    def begin(self, response):
        self.response = self.response or response
        same("id", response.id, self.response.id)
        same("status", response.status, "in_progress")
        same("output", response.output, [])

    def at(self, event):
        same("item", event.item_id, self.item["id"])
        same("output index", event.output_index, len(self.items))

    def place(self, event, name):
        """The place of a part in its item."""
        self.at(event)
        index = event.summary_index if name == "summary" else event.content_index
        same("index of the part", index, len(self.item.get(name) or []))

    def take_part(self, event, kind, step):
        (name,) = [name for name, begins in LISTS.items() if begins == kind]
        self.place(event, name)
        (where,) = [text for part, text, _ in TEXTS.values() if part == event.part.type]
        if step == "added":
            same("part under way", self.part, None)
            self.part = {"type": event.part.type, "text": "", "list": name, "is_said": False}
            same("text at first", getattr(event.part, where), "")
        else:
            same("type", event.part.type, self.part["type"])
            same("text of the part", getattr(event.part, where), self.part["text"])
            same("told to its end", self.part["is_said"], True)
            self.item[name] = [*(self.item.get(name) or []), event.part.to_dict()]
            self.part = None

    def take_text(self, event, kind, step):
        part, where, name = TEXTS[kind]
        self.place(event, name)
        same("part", (self.part["type"], self.part["list"]), (part, name))
        if step == "delta":
            same("something is said", bool(event.delta), True)
            self.part["text"] += event.delta
        else:
            same("text", getattr(event, where), self.part["text"])
            self.part["is_said"] = True

    def keep(self, item):
        same("item", (item.id, item.type), (self.item["id"], self.item["type"]))
        for name in LISTS:
            same(name, item.to_dict().get(name) or [], self.item.get(name) or [])
        if item.type == "function_call":
            same("call", (item.call_id, item.name), (self.item["call_id"], self.item["name"]))
            same("arguments", item.arguments, self.arguments)
        self.items.append(item)
        self.item = None

    def finish(self, event):
        response, status = event.response, ENDS[event.type]
        same("id", response.id, self.response.id)
        same("status", response.status, status)
        if status == "failed":
            # What was under way is told as far as it came.
            if self.part:
                (where,) = [text for part, text, _ in TEXTS.values() if part == self.part["type"]]
                same("text", response.output[-1].to_dict()[self.part["list"]][-1][where], self.part["text"])
                self.part = None
            if self.item:
                same("status of the last item", response.output[-1].status, "incomplete")
                self.items.append(response.output[-1])
                self.item = None
        same("item under way", self.item, None)
        same("output", [item.to_dict() for item in response.output], [item.to_dict() for item in self.items])
        if status != "failed":
            usage = response.usage
            same("tokens", usage.total_tokens, usage.input_tokens + usage.output_tokens)
        self.end = response


def told(story, events):
    """The types of the events, each once where it comes again and again, after a look at all of them."""
    types = []
    for event in events:
        # The SDK lets through what it doesn't know, and what lacks something.
        same("type that is known", event.type in KNOWN, True)
        same("class", type(event), KNOWN[event.type])
        KNOWN[event.type].model_validate(event.to_dict())
        story.take(event)
        name = event.type.removeprefix("response.")
        types += [name] if types[-1:] != [name] else []
        _seen.add(event.type)
    return types


def stream(model=MODEL, **settings):
    """The types of a stream's events, and its response."""
    story = Story()
    types = told(story, client.responses.create(model=model, stream=True, **settings))
    same("begins", types[:2], ["created", "in_progress"])
    Response.model_validate(story.end.to_dict())
    return types[2:], story.end


def item(*inside):
    return ["output_item.added", *inside, "output_item.done"]


SAID = item("content_part.added", "output_text.delta", "output_text.done", "content_part.done")
REFUSED = item("content_part.added", "refusal.delta", "refusal.done", "content_part.done")
THOUGHT_OF = item("content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done")
SUMMED_UP = item(
    "reasoning_summary_part.added",
    "reasoning_summary_text.delta",
    "reasoning_summary_text.done",
    "reasoning_summary_part.done",
)
CALLED = item("function_call_arguments.delta", "function_call_arguments.done")
HIDDEN = item()


@check
def a_text_is_one_message():
    types, response = stream(input="Hello")
    same("events", types, [*SAID, "completed"])
    same("text", response.output_text, ANSWER)


@check
def calls_come_one_after_the_other():
    types, response = stream(input=CALL_BOTH, instructions=SYSTEM, tools=FUNCTIONS)
    same("events", types, [*SAID, *CALLED, *CALLED, "completed"])
    for call in response.output[1:]:
        same("arguments", json.loads(call.arguments), TOOLS[call.name][2])


@needs("thoughts")
def a_thought_is_told_before_what_comes_of_it():
    settings = {"model": THINKER, "reasoning": {"effort": "low", "summary": "auto"}}
    for text, tools, then in [("Hello", [], SAID), (CALL_BOTH, FUNCTIONS, [*CALLED, *CALLED])]:
        types, response = stream(input=text, tools=tools, **settings)
        same("events", types, [*SUMMED_UP, *then, "completed"])
        same("thought", [part.text for part in response.output[0].summary], [THOUGHT])


@needs("thoughts")
def a_thought_that_is_wanted_back_is_sealed():
    settings = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    types, response = stream(THINKER, input=CALL_BOTH, tools=FUNCTIONS, **settings)
    seals = [item.encrypted_content for item in response.output if item.type == "reasoning"]
    # Gemini's signature is on the call, which has no place for one, and so has an item of its own.
    hidden = HIDDEN if len(seals) > 1 else []
    same("events", types, [*SUMMED_UP, *hidden, *CALLED, *CALLED, "completed"])
    same("sealed", bool(seals[-1]), can("signatures"))


@needs("open_thoughts")
def a_thought_is_no_summary_where_none_is_asked_for():
    types, response = stream(THINKER, input="Hello", reasoning={"effort": "low"})
    same("events", types, [*THOUGHT_OF, *SAID, "completed"])
    same("thought", [part.text for part in response.output[0].content], [THOUGHT])
    same("summary", response.output[0].summary, [])


@check
def a_refusal_is_no_text():
    types, response = stream(input=REFUSE)
    if can("refusals"):
        same("events", types, [*REFUSED, "completed"])
        same("refusal", response.output[0].content[0].refusal, REFUSAL)
    else:
        same("events", types, ["incomplete"])
        same("reason", response.incomplete_details.reason, "content_filter")


@check
def a_limit_leaves_the_last_item_incomplete():
    types, response = stream(input="Hello", max_output_tokens=16)
    same("events", types, [*SAID, "incomplete"])
    same("reason", response.incomplete_details.reason, "max_output_tokens")
    same("item", response.output[0].status, "incomplete")
    same("text", response.output_text, " ".join(ANSWER.split()[:16]))


def events_of(lines):
    """The events of a stream that breaks off, without the SDK's own end at the first error."""
    parse = client._process_response_data
    try:
        for line in lines:
            if line.startswith("data: "):
                data = json.loads(line.removeprefix("data: "))
                yield parse(data=data, cast_to=ResponseStreamEvent, response=None)
    except httpx2.HTTPError:
        # The message has no end either.
        pass


@check
def a_provider_that_breaks_off_is_told_and_all_that_was_said():
    for model in FAILING:
        ask = client.responses.with_streaming_response.create
        story = Story()
        with ask(model=model, input="Hello", stream=True) as response:
            types = told(story, events_of(response.iter_lines()))
        same("events", types[2:], [*SAID[:3], "error", *(["failed"] if can("failures") else [])])
        if can("failures"):
            same("said", ANSWER.startswith(story.end.output_text) and bool(story.end.output_text), True)
            same("code", story.end.error.code, "server_error")
        try:
            for _ in client.responses.create(model=model, input="Hello", stream=True):
                pass
            same("ended", "well", "with an error")
        except openai.APIError as error:
            same("the SDK's error", "broke off" in error.message, True)


@check
def the_sdk_puts_a_stream_together():
    settings = {"model": MODEL, "input": CALL_BOTH, "instructions": SYSTEM, "tools": FUNCTIONS}
    with client.responses.stream(**settings) as events:
        for _ in events:
            pass
        response = events.get_final_response()
    same("items", [item.type for item in response.output], ["message", "function_call", "function_call"])


@check
def every_event_that_the_sdk_knows_was_told_or_never_is():
    """Last: of a provider that leads to all of them."""
    reasons = [begin for begins in NEVER.values() for begin in begins]
    told_or_never = _seen | {kind for kind in KNOWN if kind.startswith(tuple(reasons))}
    same("both", {kind for kind in _seen if kind.startswith(tuple(reasons))}, set())
    if can("everything"):
        same("events that are left", set(KNOWN) - told_or_never, set())


run()
