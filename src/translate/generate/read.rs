//! A client's request, read into the hub's words.
//!
//! Whether a stream is asked for, and of which model, stands in the path and isn't known here.

use super::calls::{Calls, MAX_OPEN};
use super::wire::{Body, Content, FunctionCall, FunctionResponse, Part as Wire};
use super::{config, parts, tools};
use crate::translate::canonical::{Call, CallResult, Part, Request, Speaker, Turn};
use crate::translate::features::Feature;
use crate::translate::field::{bad, parse};
use crate::translate::media::{self, types};
use crate::translate::peek::BadBody;
use crate::translate::pieces::{Str, TextOr};
use crate::translate::signs::Api;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::Display;

/// Who speaks. `function` is what the first SDKs called the tools' turn; without a role it is the user's.
const ROLES: [(&str, Speaker); 4] =
    [("user", Speaker::User), ("model", Speaker::Model), ("function", Speaker::User), ("", Speaker::User)];

/// Reads the body of `generateContent` or `streamGenerateContent`. [`Request::streams`] is for the caller to say, who
/// knows the path. Source: Gemini API reference, "Generating content".
///
/// # Errors
/// When it isn't what the reference says in a way that can't be served; the field is named.
pub fn read(body: &[u8]) -> Result<Request<'_>, BadBody> {
    let body: Body<'_> = parse(body)?;
    let mut reading = Reading::default();
    let request = &mut reading.request;
    let has_filter = body.safety_settings.is_some() || body.model_armor_config.is_some();
    request.features.insert_if(has_filter, Feature::SafetySettings);
    request.features.insert_if(body.cached_content.is_some(), Feature::ProviderState);
    request.features.insert_if(body.service_tier.is_some(), Feature::ServiceTier);
    request.features.insert_if(body.labels.is_some() || body.store.is_some(), Feature::Labels);
    if let Some(said) = body.system_instruction {
        request.system = system(said)?;
    }
    tools::read(request, body.tools.0, body.tool_config)?;
    if let Some(config) = body.generation_config {
        config::read(request, config)?;
    }
    for (index, content) in body.contents.0.into_iter().enumerate() {
        reading.content(index, content)?;
    }
    reading.settle()?;
    reading.request.note_settings();
    Ok(reading.request)
}

/// What is told before all turns: texts, and nothing else.
fn system<'a>(said: TextOr<'a, Content<'a>>) -> Result<Vec<Part<'a>>, BadBody> {
    let content = match said {
        TextOr::Text(text) => return Ok(vec![Part::text(text)]),
        TextOr::Other(content) => content,
    };
    let mut texts = Vec::with_capacity(content.parts.0.len());
    for (index, part) in content.parts.0.into_iter().enumerate() {
        let field = || format!("systemInstruction.parts[{index}]");
        let text =
            part.text.ok_or_else(|| bad(field(), "must be text: nothing else can be an instruction"))?;
        texts.push(Part::text(text));
    }
    Ok(texts)
}

/// A conversation on its way through.
#[derive(Default)]
struct Reading<'a> {
    request: Request<'a>,
    calls: Calls<'a>,
}

impl<'a> Reading<'a> {
    fn content(&mut self, index: usize, content: Content<'a>) -> Result<(), BadBody> {
        let role = content.role.unwrap_or_default().0;
        let speaker = ROLES.iter().find(|(name, _)| *name == role);
        let Some(&(_, speaker)) = speaker else {
            return Err(bad(format_args!("contents[{index}].role"), "must be `user` or `model`"));
        };
        // What a model said comes back in the pieces of its stream, each a content of its own.
        let goes_on = self.request.turns.last().is_some_and(|turn| turn.speaker == speaker);
        let mut said = match (speaker, goes_on) {
            (Speaker::Model, true) => self.request.turns.pop().map_or_else(Vec::new, |turn| turn.parts),
            (Speaker::Model, false) => {
                self.calls.settle()?;
                Vec::new()
            }
            (Speaker::User, _) => Vec::new(),
        };
        for (part, wire) in content.parts.0.into_iter().enumerate() {
            if wire.is_empty() {
                return Err(bad(Place((index, part), ""), "has nothing that can be put into other words"));
            }
            match speaker {
                Speaker::Model => self.model_part((index, part), wire, &mut said)?,
                Speaker::User => self.user_part((index, part), wire, &mut said)?,
            }
        }
        if !said.is_empty() {
            self.request.turns.push(Turn { speaker, parts: said });
        }
        Ok(())
    }

    /// Nothing more is said: calls may wait for their results only if they stand last.
    fn settle(&mut self) -> Result<(), BadBody> {
        let ends_with_model = self.request.turns.last().is_some_and(|turn| turn.speaker == Speaker::Model);
        match self.calls.settle() {
            Err(why) if ends_with_model => self.request.unanswered = Some(Box::new(why)),
            settled => settled?,
        }
        Ok(())
    }

    fn model_part(
        &mut self,
        at: (usize, usize),
        part: Wire<'a>,
        said: &mut Vec<Part<'a>>,
    ) -> Result<(), BadBody> {
        let is_thought = part.thought == Some(true);
        let signature = part.thought_signature.as_ref().map(|Str(text)| text.clone());
        // What another maker signed goes back to it, and who can't give it back says so itself.
        let is_own =
            signature.as_ref().is_none_or(|text| parts::given(text.as_ref().into()).maker == Api::Generate);
        let is_foreign_elsewhere = is_own && (is_thought || signature.is_some());
        self.request.features.insert_if(is_foreign_elsewhere, Feature::ForeignThoughts);
        let Some(call) = part.function_call else {
            if part.function_response.is_some() {
                return Err(bad(Place(at, ".functionResponse"), "is the user's side to say"));
            }
            let text = part.text.clone();
            let medium = self.media(at, part)?;
            parts::push_words(said, text, is_thought, signature);
            said.extend(medium);
            return Ok(());
        };
        said.push(Part::Call(self.call(at, call, signature)?));
        Ok(())
    }

    fn call(
        &mut self,
        at: (usize, usize),
        call: FunctionCall<'a>,
        signature: Option<Cow<'a, str>>,
    ) -> Result<Call<'a>, BadBody> {
        let name = call.name.0;
        if name.is_empty() {
            return Err(bad(Place(at, ".functionCall.name"), "must name a function"));
        }
        let arguments = call.args.map_or("{}", RawValue::get);
        if !arguments.starts_with('{') {
            return Err(bad(Place(at, ".functionCall.args"), "must be a JSON object"));
        }
        let id = call.id.map(|Str(id)| id).filter(|id| !id.is_empty());
        let too_many =
            || bad(Place(at, ".functionCall"), format_args!("is one of more than {MAX_OPEN} calls at once"));
        let id = self.calls.call(at, id, &name).ok_or_else(too_many)?;
        let signature = signature.map(parts::given);
        Ok(Call { id, name, arguments: arguments.into(), signature, ends_cache: false })
    }

    fn user_part(
        &mut self,
        at: (usize, usize),
        part: Wire<'a>,
        said: &mut Vec<Part<'a>>,
    ) -> Result<(), BadBody> {
        if part.function_call.is_some() {
            return Err(bad(Place(at, ".functionCall"), "is the model's to say; set the role to `model`"));
        }
        if let Some(result) = part.function_response {
            said.push(Part::Result(self.result(at, result)?));
            return Ok(());
        }
        said.extend(part.text.clone().map(Part::text));
        said.extend(self.media(at, part)?);
        Ok(())
    }

    fn result(
        &mut self,
        at: (usize, usize),
        result: FunctionResponse<'a>,
    ) -> Result<CallResult<'a>, BadBody> {
        let given = |text: &Option<Str<'a>>| {
            text.as_ref().map(|Str(text)| text.clone()).filter(|text| !text.is_empty())
        };
        let (id, name) = (given(&result.id), given(&result.name));
        let Some((id, name)) = self.calls.result(id.as_deref(), name.as_deref()) else {
            let why = "answers no functionCall of the turn before, neither by its id nor by its name";
            return Err(bad(Place(at, ".functionResponse"), why));
        };
        let response = result.response.map_or("{}", RawValue::get);
        if !response.starts_with('{') {
            return Err(bad(Place(at, ".functionResponse.response"), "must be a JSON object"));
        }
        let mut content = vec![Part::text(response)];
        for part in result.parts.0 {
            content.extend(self.media(at, part)?);
        }
        Ok(CallResult { id, name, content, is_error: has_error(response), ends_cache: false })
    }

    /// The medium that a part has, if it has one that others can be given.
    fn media(&mut self, at: (usize, usize), part: Wire<'a>) -> Result<Option<Part<'a>>, BadBody> {
        let features = &mut self.request.features;
        features.insert_if(part.is_of_server(), Feature::ServerTools);
        features.insert_if(part.has_media_options(), Feature::Other);
        let media = match (part.inline_data, part.file_data) {
            (Some(blob), _) => {
                if blob.mime_type.as_ref().is_some_and(|Str(text)| !types::is_type(text)) {
                    return Err(bad(Place(at, ".inlineData.mimeType"), media::NO_TYPE));
                }
                let media = parts::inline(blob);
                Some(media.ok_or_else(|| bad(Place(at, ".inlineData.data"), media::NO_BASE64))?)
            }
            (None, Some(file)) => {
                let media = parts::by_address(file);
                features.insert_if(media.is_none(), Feature::ProviderState);
                media
            }
            (None, None) => None,
        };
        if let Some(media) = &media {
            media::note(media, features);
        }
        Ok(media.map(Part::Media))
    }
}

/// A part of a content, or something in it.
struct Place((usize, usize), &'static str);

impl Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place((content, part), member) = self;
        write!(f, "contents[{content}].parts[{part}]{member}")
    }
}

/// Whether a result says that the tool failed. Source: `FunctionResponse.response`, whose `error` is for that.
fn has_error(response: &str) -> bool {
    #[derive(Deserialize)]
    struct Members<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    // Nearly no result has the word in it.
    response.contains("\"error\"")
        && serde_json::from_str::<Members<'_>>(response).is_ok_and(|members| members.error.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::{Effort, Output, Reasoning, Signature, ToolChoice};
    use crate::translate::verbatim::Verbatim;
    use proptest::prelude::*;

    fn read_str(body: &str) -> Request<'_> {
        read(body.as_bytes()).expect("a request")
    }

    fn refusal(body: &str) -> String {
        read(body.as_bytes()).expect_err("refused").0
    }

    fn has(body: &str, feature: Feature) -> bool {
        read_str(body).features.contains(feature)
    }

    #[test]
    fn camel_case_and_snake_case_mean_the_same() {
        let camel = r#"{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[
            {"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}],"toolConfig":{"functionCallingConfig":
            {"mode":"ANY","allowedFunctionNames":["f"]}},"tools":[{"functionDeclarations":[{"name":"f",
            "parametersJsonSchema":{"type":"object"}}]}],"generationConfig":{"topP":0.5,"topK":40.0,
            "maxOutputTokens":"100","stopSequences":["x"],"presencePenalty":1,"thinkingConfig":
            {"thinkingBudget":2048,"includeThoughts":true},"responseMimeType":"application/json"}}"#;
        let mut snake = String::new();
        let mut is_name = false;
        for letter in camel.chars() {
            is_name ^= letter == '"';
            if is_name
                && letter.is_ascii_uppercase()
                && !snake.ends_with(|last: char| last.is_uppercase() || last == '"')
            {
                snake.push('_');
                snake.push(letter.to_ascii_lowercase());
            } else {
                snake.push(letter);
            }
        }
        assert!(snake.contains("max_output_tokens") && snake.contains("function_declarations"), "{snake}");
        assert_eq!(format!("{:?}", read_str(camel)), format!("{:?}", read_str(&snake)));
        let request = read_str(camel);
        assert_eq!(request.system, [Part::text("Be brief.")]);
        assert_eq!(request.tool_choice, ToolChoice::One("f".into()));
        assert_eq!((request.top_k, request.max_output_tokens), (Some(40), Some(100)));
        assert_eq!(request.reasoning, Some(Reasoning::Budget(2048)));
        assert!(request.shows_thoughts && matches!(request.output, Output::Json));
    }

    #[test]
    fn one_thing_stands_for_a_list_and_a_text_for_an_instruction() {
        let request = read_str(r#"{"system_instruction":"Be\nbrief.","contents":{"parts":{"text":"Hi"}}}"#);
        assert_eq!(request.system, [Part::text("Be\nbrief.")]);
        let turn = Turn { speaker: Speaker::User, parts: vec![Part::text("Hi")] };
        assert_eq!(request.turns, [turn]);
        assert!(read_str("{}").turns.is_empty());
    }

    #[test]
    fn texts_are_not_copied() {
        let request = read_str(r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#);
        let Part::Text(text) = &request.turns[0].parts[0] else { panic!("a text") };
        assert!(matches!(text.text, Verbatim::Json(_)));
    }

    #[test]
    fn calls_without_ids_and_their_results_meet_by_name_in_order() {
        let request = read_str(
            r#"{"contents":[{"parts":[{"text":"Hi"}]},
            {"role":"model","parts":[{"functionCall":{"name":"f","args":{"a": 1}},"thoughtSignature":"c2ln"},
                {"functionCall":{"name":"f"}},{"functionCall":{"id":"own","name":"g","args":{}}}]},
            {"role":"function","parts":[{"functionResponse":{"name":"f","response":{"result":1}}},
                {"functionResponse":{"name":"g","id":"own","response":{"error":"no"}}},
                {"functionResponse":{"name":"f","response":{"error":null}}}]}]}"#,
        );
        let Part::Call(call) = &request.turns[1].parts[0] else { panic!("a call") };
        assert_eq!((call.id.as_ref(), call.arguments.as_ref()), ("call_1_0", r#"{"a": 1}"#));
        assert_eq!(call.signature, Some(Signature { maker: Api::Generate, text: "c2ln".into() }));
        let results: Vec<_> = request.turns[2]
            .parts
            .iter()
            .map(|part| match part {
                Part::Result(result) => (result.id.as_ref(), result.name.as_ref(), result.is_error),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(results, [("call_1_0", "f", false), ("own", "g", true), ("call_1_1", "f", false)]);
    }

    #[test]
    fn what_a_model_said_in_pieces_is_joined_and_its_signature_kept() {
        let request = read_str(
            r#"{"contents":[{"role":"model","parts":[{"text":"Hm","thought":true}]},
            {"role":"model","parts":[{"text":", yes","thought":true,"thoughtSignature":"YQ=="}]},
            {"role":"model","parts":[{"text":"A"}]},{"role":"model","parts":[{"text":"B","thoughtSignature":"Yg=="}]}]}"#,
        );
        let thought = |text: &'static str, signature: &'static str, is_redacted| {
            let signature = Some(Signature { maker: Api::Generate, text: signature.into() });
            Part::Thought(crate::translate::canonical::Thought { text: text.into(), signature, is_redacted })
        };
        let parts = vec![thought("Hm, yes", "YQ==", false), Part::text("AB"), thought("", "Yg==", true)];
        assert_eq!(request.turns, [Turn { speaker: Speaker::Model, parts }]);
        assert!(request.features.contains(Feature::ForeignThoughts));
    }

    #[test]
    fn media_are_told_by_their_types_and_addresses() {
        let media = |part: &str| {
            let body = format!(r#"{{"contents":[{{"parts":[{part}]}}]}}"#);
            let request = read(body.as_bytes()).expect("a request");
            let kind = match request.turns.first().and_then(|turn| turn.parts.first()) {
                Some(Part::Media(media)) => Some(format!("{:?} {:?}", media.kind, media.source)),
                _ => None,
            };
            (kind, request.features)
        };
        let (found, _) = media(r#"{"inlineData":{"mimeType":"image/png","data":"-_8"}}"#);
        assert_eq!(found.as_deref(), Some(r#"Image Inline { media_type: "image/png", data: "+/8=" }"#));
        let (found, _) = media(r#"{"inlineData":{"mimeType":"text/plain","data":"SGk="}}"#);
        assert_eq!(found.as_deref(), Some(r#"Document Text("Hi")"#));
        let (found, features) = media(r#"{"fileData":{"fileUri":"https://a.b/c.pdf"}}"#);
        assert_eq!(found.as_deref(), Some(r#"Document Url { url: "https://a.b/c.pdf", media_type: None }"#));
        assert!(features.contains(Feature::DocumentUrl) && !features.contains(Feature::ProviderState));
        for (part, feature) in [
            (r#"{"inlineData":{"mimeType":"audio/wav","data":"AAAA"}}"#, Feature::AudioInput),
            (r#"{"fileData":{"fileUri":"https://youtu.be/x"}}"#, Feature::VideoInput),
        ] {
            assert!(media(part).1.contains(feature), "{part}");
        }
        for file in ["gs://b/o", "files/abc", "https://generativelanguage.googleapis.com/v1beta/files/abc"] {
            let (found, features) = media(&format!(r#"{{"fileData":{{"fileUri":"{file}"}}}}"#));
            assert!(found.is_none() && features.contains(Feature::ProviderState), "{file}");
        }
    }

    #[test]
    fn what_not_everybody_has_is_noted() {
        let config = |config: &str| format!(r#"{{"generationConfig":{{{config}}}}}"#);
        for (body, feature) in [
            (r#"{"tools":[{"googleSearch":{}}]}"#.to_owned(), Feature::ServerTools),
            (r#"{"tools":[{"next_years_tool":{}}]}"#.to_owned(), Feature::ServerTools),
            (
                r#"{"contents":[{"role":"model","parts":[{"executableCode":{}}]}]}"#.to_owned(),
                Feature::ServerTools,
            ),
            (r#"{"cachedContent":"cachedContents/x"}"#.to_owned(), Feature::ProviderState),
            (r#"{"safetySettings":[]}"#.to_owned(), Feature::SafetySettings),
            (r#"{"labels":{"a":"b"}}"#.to_owned(), Feature::Labels),
            (r#"{"serviceTier":"flex"}"#.to_owned(), Feature::ServiceTier),
            (config(r#""topK":1"#), Feature::TopK),
            (config(r#""seed":1"#), Feature::Seed),
            (config(r#""frequencyPenalty":0.1"#), Feature::Penalties),
            (config(r#""candidateCount":2"#), Feature::SeveralAnswers),
            (config(r#""responseLogprobs":true"#), Feature::Logprobs),
            (config(r#""responseModalities":["TEXT","IMAGE"]"#), Feature::MediaOutput),
            (config(r#""speechConfig":{}"#), Feature::Other),
            (
                config(r#""responseMimeType":"text/x.enum","responseSchema":{"type":"STRING"}"#),
                Feature::EnumOutput,
            ),
            (config(r#""stopSequences":["1","2","3","4","5"]"#), Feature::FiveStops),
            (config(r#""stopSequences":["1","2","3","4","5","6"]"#), Feature::SixStops),
        ] {
            assert!(has(&body, feature), "{body}");
        }
        for (body, feature) in [
            (config(r#""stopSequences":["1","2","3","4"]"#), Feature::FiveStops),
            (config(r#""stopSequences":["1","2","3","4","5"]"#), Feature::SixStops),
            (config(r#""candidateCount":1"#), Feature::SeveralAnswers),
            (config(r#""responseModalities":["TEXT"]"#), Feature::MediaOutput),
            (config(r#""presencePenalty":0"#), Feature::Penalties),
        ] {
            assert!(!has(&body, feature), "{body}");
        }
    }

    #[test]
    fn thinking_is_off_dynamic_or_so_much() {
        for (thinking, reasoning, shows) in [
            (r#""thinkingBudget":0"#, Some(Reasoning::Off), false),
            (r#""thinkingBudget":-1,"includeThoughts":true"#, Some(Reasoning::Dynamic), true),
            (r#""thinkingBudget":"512""#, Some(Reasoning::Budget(512)), false),
            (r#""thinkingLevel":"high""#, Some(Reasoning::Effort(Effort::High)), false),
            (r#""includeThoughts":true"#, Some(Reasoning::Dynamic), true),
            (r#""includeThoughts":false"#, None, false),
        ] {
            let body = format!(r#"{{"generationConfig":{{"thinkingConfig":{{{thinking}}}}}}}"#);
            let request = read_str(&body);
            assert_eq!((request.reasoning, request.shows_thoughts), (reasoning, shows), "{thinking}");
        }
    }

    #[test]
    fn a_choice_among_several_functions_leaves_the_others_out() {
        let body = |config: &str| {
            format!(
                r#"{{"tools":[{{"functionDeclarations":[{{"name":"a"}},{{"name":"b"}},{{"name":"c","parameters":
                {{"type":"OBJECT","properties":{{"x":{{"type":"STRING"}}}}}}}}]}}],
                "toolConfig":{{"functionCallingConfig":{{{config}}}}}}}"#
            )
        };
        for (config, choice, names) in [
            (r#""mode":"AUTO""#, ToolChoice::Auto, "abc"),
            (r#""mode":"NONE""#, ToolChoice::None, "abc"),
            (r#""mode":"any""#, ToolChoice::Any, "abc"),
            (r#""mode":"ANY","allowedFunctionNames":["b"]"#, ToolChoice::One("b".into()), "abc"),
            (r#""mode":"ANY","allowedFunctionNames":["c","a"]"#, ToolChoice::Any, "ac"),
            (r#""mode":"VALIDATED","allowedFunctionNames":["c","a"]"#, ToolChoice::Auto, "ac"),
            (r#""mode":"VALIDATED","allowedFunctionNames":["b"]"#, ToolChoice::Auto, "b"),
        ] {
            let body = body(config);
            let request = read_str(&body);
            assert_eq!(request.tool_choice, choice, "{config}");
            assert_eq!(
                request.tools.iter().map(|tool| tool.name.as_ref()).collect::<String>(),
                names,
                "{config}"
            );
        }
        let whole = body("");
        let schema = read_str(&whole).tools[2].parameters.as_deref().map(|schema| schema.get().to_owned());
        assert_eq!(schema.as_deref(), Some(r#"{"type":"object","properties":{"x":{"type":"string"}}}"#));
        assert!(
            refusal(&body(r#""mode":"ANY","allowedFunctionNames":["a","z"]"#))
                .contains("allowedFunctionNames[1]` is none of")
        );
        assert!(refusal(&body(r#""mode":"SOME""#)).contains("functionCallingConfig.mode"));
    }

    #[test]
    fn a_picture_has_bytes() {
        let body = r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":""}}]}]}"#;
        assert!(refusal(body).contains("contents[0].parts[0].inlineData.data"));
    }

    #[test]
    fn bad_input_is_refused_and_the_field_named() {
        let model = |part: &str| format!(r#"{{"contents":[{{"role":"model","parts":[{part}]}}]}}"#);
        let user = |part: &str| format!(r#"{{"contents":[{{"role":"user","parts":[{part}]}}]}}"#);
        let config = |config: &str| format!(r#"{{"generationConfig":{{{config}}}}}"#);
        for (body, field) in [
            (r#"{"contents":[{"role":"system","parts":[]}]}"#.to_owned(), "contents[0].role"),
            (r#"{"contents":[{"parts":[{"text":"a"},{"text":1}]}]}"#.to_owned(), "contents[0].parts[1].text"),
            (
                r#"{"contents":[{"parts":[{"inline_data":{"data":3}}]}]}"#.to_owned(),
                "contents[0].parts[0].inline_data.data",
            ),
            (r#"{"contents":7}"#.to_owned(), "contents"),
            (r#"{"contents":[]} x"#.to_owned(), "the body"),
            ("[]".to_owned(), "the body"),
            (
                r#"{"systemInstruction":{"parts":[{"inlineData":{"data":""}}]}}"#.to_owned(),
                "systemInstruction.parts[0]",
            ),
            (
                user(r#"{"inlineData":{"mimeType":"image/png","data":"!"}}"#),
                "contents[0].parts[0].inlineData.data",
            ),
            (
                user(r#"{"functionResponse":{"name":"f","response":{}}}"#),
                "contents[0].parts[0].functionResponse",
            ),
            (user(r#"{"functionCall":{"name":"f"}}"#), "contents[0].parts[0].functionCall"),
            (user(r#"{"text":"a"},{"hologram":{}}"#), "`contents[0].parts[1]` has nothing"),
            (model("{}"), "`contents[0].parts[0]` has nothing"),
            (
                user(r#"{"inlineData":{"mimeType":"png","data":""}}"#),
                "contents[0].parts[0].inlineData.mimeType",
            ),
            (model(r#"{"functionResponse":{"name":"f"}}"#), "contents[0].parts[0].functionResponse"),
            (model(r#"{"functionCall":{"args":{}}}"#), "contents[0].parts[0].functionCall"),
            (model(r#"{"functionCall":{"name":"","args":{}}}"#), "contents[0].parts[0].functionCall.name"),
            (model(r#"{"functionCall":{"name":"f","args":[1]}}"#), "contents[0].parts[0].functionCall.args"),
            (model(r#"{"functionCall":{"name":"f","args":"{}"}}"#), "contents[0].parts[0].functionCall.args"),
            (
                r#"{"contents":[{"role":"model","parts":[{"text":"a"},{"functionCall":{"name":"f"}}]},
                    {"parts":[{"text":"b"}]}]}"#
                    .to_owned(),
                "contents[0].parts[1].functionCall",
            ),
            (config(r#""topK":1.5"#), "generationConfig.topK"),
            (config(r#""maxOutputTokens":-1"#), "generationConfig.maxOutputTokens"),
            (config(r#""temperature":"hot""#), "generationConfig.temperature"),
            (config(r#""responseSchema":{}"#), "generationConfig.responseMimeType"),
            (
                config(r#""responseMimeType":"application/json","responseSchema":1"#),
                "generationConfig.responseSchema",
            ),
            (config(r#""thinkingConfig":{"thinkingLevel":"deep"}"#), "thinkingConfig.thinkingLevel"),
            (
                r#"{"tools":[{"functionDeclarations":[{"name":"f","parameters":[]}]}]}"#.to_owned(),
                "tools[0].functionDeclarations[0].parameters",
            ),
            (
                r#"{"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":[]}]}]}"#.to_owned(),
                "tools[0].functionDeclarations[0].parametersJsonSchema",
            ),
            (
                config(r#""responseMimeType":"application/json","responseJsonSchema":true"#),
                "generationConfig.responseJsonSchema",
            ),
        ] {
            let why = refusal(&body);
            assert!(why.contains(field), "{body}: {why}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..400, byte: u8) {
            let _ = read(&bytes);
            let mut body = br#"{"contents":[{"role":"model","parts":[{"functionCall":{"id":"a","name":"f","args":{"a":[1]}},"thoughtSignature":"YQ=="}]},{"parts":[{"functionResponse":{"name":"f","response":{"a":1}}},{"inlineData":{"mimeType":"a/b","data":"AAAA"}}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT"}}]}]}"#.to_vec();
            let at = at % body.len();
            body[at] = byte;
            let _ = read(&body);
        }
    }
}
