//! The vendors' own Python SDKs against the gateway, each in front of a provider of each dialect.

use crate::sdk::run_script;
use crate::support::{Gateway, Provider};
use cliproxy::domain::Dialect;

const KEY: &str = "client-key";

/// The models that the scripts ask for, and what answers them at OpenAI, Anthropic and Gemini: one that thinks where the
/// one that is asked for does, of a family that is told so in another way than the others.
const MODELS: [(&str, [&str; 3]); 7] = [
    ("gpt-4o-mini", ["gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash"]),
    ("gpt-5-mini", ["gpt-5-mini", "claude-sonnet-4-5", "gemini-2.5-flash"]),
    ("claude-sonnet-4-5", ["gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash"]),
    ("claude-opus-4-6", ["gpt-5-mini", "claude-opus-4-6", "gemini-3-pro-preview"]),
    ("gemini-2.5-flash", ["gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash"]),
    ("gemini-2.5-pro", ["gpt-5.1", "claude-opus-4-7", "gemini-2.5-pro"]),
    ("thinker", ["deepseek-reasoner", "claude-sonnet-4-5", "gemini-3-pro-preview"]),
];

/// The models that fail.
const FAULTS: &str = "fault-s02, fault-s12, fault-s16, fault-404-model, fault-error-late, cut-20";

/// Whatever model a script asks for, the one provider has it, by the name that its vendor gives one like it; those that
/// fail included.
fn models(dialect: Dialect) -> String {
    let named = |(alias, own): (&str, [&str; 3])| match own[dialect as usize] {
        own if own == alias => own.to_owned(),
        own => format!("{{name: {own}, alias: {alias}}}"),
    };
    format!(
        "models: [{}, text-embedding-3-small, gemini-embedding-001, {FAULTS}]",
        MODELS.map(named).join(", ")
    )
}

/// The scripts provoke errors, and go on asking.
const NO_COOLDOWN: &str = "cooldown: {enabled: false}";

#[track_caller]
fn works_before(script: &str, dialect: Dialect, more: &str, lacks: &str) {
    let provider = Provider::of(dialect);
    let gateway = Gateway::start(&format!(
        "server: {{host: 127.0.0.1, port: {{port}}, auth: {{api_keys: [{KEY}]}}, operations: {{retry: {{max_attempts: 1}}}}}}\nproviders:\n{}",
        provider.yaml_with("only", &[&models(dialect), NO_COOLDOWN, more])
    ));
    run_script(script, &gateway.url(), KEY, lacks);
    let received = provider.transcript();
    assert!(!received.is_empty(), "the provider was asked");
    for request in received {
        assert!(!format!("{:?}", request.headers).contains(KEY), "the client's key stays here");
    }
}

#[test]
fn openais_sdk_works_before_openai() {
    works_before("openai_sdk.py", Dialect::OpenAi, "responses: true", "");
}

#[test]
fn anthropics_sdk_works_before_anthropic() {
    works_before("anthropic_sdk.py", Dialect::Anthropic, "", "");
}

#[test]
fn googles_sdk_works_before_gemini() {
    works_before("gemini_sdk.py", Dialect::Gemini, "", "");
}

#[test]
fn openais_sdk_works_before_one_that_has_only_chats() {
    works_before("openai_sdk.py", Dialect::OpenAi, "responses: false", "thoughts");
}

#[test]
fn openais_sdk_works_before_anthropic() {
    works_before("openai_sdk.py", Dialect::Anthropic, "", "embeddings choices loose_json");
}

#[test]
fn openais_sdk_works_before_gemini() {
    works_before("openai_sdk.py", Dialect::Gemini, "", "choices single_call refusals");
}

#[test]
fn anthropics_sdk_works_before_openai() {
    works_before("anthropic_sdk.py", Dialect::OpenAi, "", "thoughts stop_name prefill");
}

#[test]
fn anthropics_sdk_works_before_gemini() {
    works_before("anthropic_sdk.py", Dialect::Gemini, "", "signatures single_call stop_name");
}

#[test]
fn googles_sdk_works_before_openai() {
    works_before("gemini_sdk.py", Dialect::OpenAi, "", "thoughts");
}

#[test]
fn googles_sdk_works_before_anthropic() {
    works_before("gemini_sdk.py", Dialect::Anthropic, "", "embeddings loose_json");
}

#[test]
fn openais_sdk_hears_every_event_of_a_response_before_openai() {
    let lacks = "open_thoughts failures everything";
    works_before("responses_events.py", Dialect::OpenAi, "responses: true", lacks);
}

#[test]
fn openais_sdk_hears_every_event_of_a_response_before_one_that_has_only_chats() {
    works_before("responses_events.py", Dialect::OpenAi, "responses: false", "signatures");
}

#[test]
fn openais_sdk_hears_every_event_of_a_response_before_anthropic() {
    works_before("responses_events.py", Dialect::Anthropic, "", "");
}

#[test]
fn openais_sdk_hears_every_event_of_a_response_before_gemini() {
    works_before("responses_events.py", Dialect::Gemini, "", "open_thoughts refusals everything");
}
